"""The command that answers over HTTP: ``serve``. Wiring only."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import Constrained, Device, ReadingEngine, Workspace
from latexify.common.errors import LatexifyError

SAGEMAKER_MODEL = Path("/opt/ml/model")
"""Where SageMaker puts the model of an endpoint."""


def serve(  # noqa: PLR0913, PLR0917  # a switch each
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 8080,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model folder; /opt/ml/model where it holds one, else as `recognize`, if not given.",
            show_default=False,
        ),
    ] = None,
    constrained: Constrained = None,
    device: Device = None,
    engine: ReadingEngine = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of the model.")] = 1,
    max_batch: Annotated[int, typer.Option(min=1, max=256, help="Pictures that are read together.")] = 16,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, max=1000, help="Under load, how long a batch waits to be as large as the last.")
    ] = 2,
    max_queue: Annotated[int, typer.Option(min=1, help="Inks and images taken on at a time; more are refused.")] = 64,
) -> None:
    """Answer over HTTP: images, InkML or strokes to LaTeX (docs/guide/serving.md). SIGTERM finishes what was begun."""
    workspace: Workspace = context.obj
    try:
        from latexify.serve.http import server
    except ModuleNotFoundError as error:
        raise LatexifyError(f"{error.name} is missing: pip install 'latexify[serve]'") from None
    from latexify.artifacts.names import MANIFEST_NAME
    from latexify.serve.http.worker import Settings
    from latexify.serve.recognizer import default_model

    if model is None and (SAGEMAKER_MODEL / MANIFEST_NAME).is_file():
        model = SAGEMAKER_MODEL
    settings = Settings(
        model=model or default_model(trained_here=workspace.data("model")),
        device=device,
        constrained=constrained,
        engine=engine,
        threads=threads,
        max_batch=max_batch,
        max_wait_s=max_wait_ms / 1000,
        max_queue=max_queue,
    )
    server.run(settings, host=host, port=port, announce=_announce)


def _announce(text: str) -> None:
    print(f"latexify: {text}", file=sys.stderr, flush=True)
