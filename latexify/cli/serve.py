"""The commands that keep a recogniser running: `serve` (HTTP) and `demo` (a page to write on)."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import (
    Constrained,
    Device,
    Host,
    RuntimeOption,
    Threads,
    UsedModel,
    Workspace,
    chosen_model,
    extra_needed,
)

SAGEMAKER_MODEL = Path("/opt/ml/model")  # where SageMaker puts the model of an endpoint


def serve(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8080,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model folder. Default: /opt/ml/model if it holds one, else data/model, else the installed model.",
            show_default=False,
        ),
    ] = None,
    constrained: Constrained = None,
    device: Device = None,
    runtime: RuntimeOption = None,
    threads: Threads = 1,
    workers: Annotated[
        int,
        typer.Option(
            min=1, max=64, help="Models that read at the same time; each further one is a process with its own memory."
        ),
    ] = 1,
    max_batch: Annotated[int, typer.Option(min=1, max=256, help="Largest number of pictures per batch.")] = 16,
    max_wait_ms: Annotated[
        float, typer.Option(min=0, max=1000, help="Under load, how long a batch waits to grow as large as the last.")
    ] = 2,
    max_queue: Annotated[int, typer.Option(min=1, help="Items accepted at a time; more are refused.")] = 64,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Another name that requests may have in the header Host. On a loopback address only localhost and IP "
            "addresses are allowed, elsewhere any unless one is named.",
            show_default=False,
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Origin of pages that may use the service (CORS), such as https://example.org; * for all.",
            show_default=False,
        ),
    ] = None,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File of API keys, one a line; a request needs one.", show_default=False)
    ] = None,
    rate_limit: Annotated[
        int | None,
        typer.Option(min=1, help="Requests a minute of each API key, or else of each address.", show_default=False),
    ] = None,
) -> None:
    """Recognise images, InkML or strokes over HTTP (docs/guide/serving.md). SIGTERM finishes open requests."""
    workspace: Workspace = context.obj
    with extra_needed("serve"):
        from latexify.artifacts.names import MANIFEST_NAME
        from latexify.serve.http import server
        from latexify.serve.http.access.access import Access
        from latexify.serve.http.access.hosts import names_of
        from latexify.serve.http.access.keys import read_keys
        from latexify.serve.http.worker import ServiceSettings

    if model is None and (SAGEMAKER_MODEL / MANIFEST_NAME).is_file():
        model = SAGEMAKER_MODEL
    settings = ServiceSettings(
        model=chosen_model(workspace, model),
        device=device,
        constrained=constrained,
        runtime=runtime,
        threads=threads,
        workers=workers,
        max_batch=max_batch,
        max_wait_s=max_wait_ms / 1000,
        max_queue=max_queue,
    )
    access = Access(
        hosts=names_of(host, allow_host or ()),
        origins=tuple(allow_origin or ()),
        keys=read_keys(api_key_file) if api_key_file is not None else (),
        per_minute=rate_limit,
    )
    server.run(settings, host=host, port=port, access=access, announce=_announce)


def demo(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8501,
    model: UsedModel = None,
    device: Device = None,
    runtime: RuntimeOption = None,
    threads: Threads = 1,
    browser: Annotated[bool, typer.Option(help="Open the page in this machine's browser.")] = True,
) -> None:
    """Serve a web page to write on, with LaTeX after each stroke; also takes images and InkML (docs/guide/demo.md)."""
    workspace: Workspace = context.obj
    with extra_needed("demo"):
        from latexify.serve.demo import server
        from latexify.serve.demo.state import DemoSettings

    settings = DemoSettings(
        model=chosen_model(workspace, model),
        device=device,
        runtime=runtime,
        threads=threads,
        inks=str(workspace.inks),
    )
    server.run(settings, host=host, port=port, open_browser=browser, announce=_announce)


def _announce(text: str) -> None:
    print(f"latexify: {text}", file=sys.stderr, flush=True)
