"""The command that shows the recogniser to people: ``demo``. Wiring only."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import Device, ReadingEngine, Workspace
from latexify.common.errors import LatexifyError


def demo(  # noqa: PLR0913, PLR0917  # a switch each
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8501,
    model: Annotated[
        Path | None,
        typer.Option(help="Model folder; the one in models/, else data/model, if not given.", show_default=False),
    ] = None,
    device: Device = None,
    engine: ReadingEngine = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the model.")] = 1,
    browser: Annotated[bool, typer.Option(help="Open the page in this machine's browser.")] = True,
) -> None:
    """Show a page to write on: LaTeX a moment after the pen is lifted; images and InkML, too (docs/guide/demo.md)."""
    workspace: Workspace = context.obj
    try:
        from latexify.serve.demo import server
    except ModuleNotFoundError as error:
        raise LatexifyError(f"{error.name} is missing: pip install 'latexify[demo]'") from None
    from latexify.serve.demo.state import DemoSettings
    from latexify.serve.recognizer import default_model

    settings = DemoSettings(
        model=model or default_model(trained_here=workspace.data("model")),
        device=device,
        engine=engine,
        threads=threads,
        inks=str(workspace.inks),
    )
    server.run(settings, host=host, port=port, open_browser=browser, announce=_announce)


def _announce(text: str) -> None:
    print(f"latexify: {text}", file=sys.stderr, flush=True)
