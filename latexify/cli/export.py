"""The command that writes a model for other runtimes: ``export-onnx``. Wiring only."""

from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import Workspace


def export_onnx(
    context: typer.Context,
    model: Annotated[
        Path | None,
        typer.Option(help="Model folder; the one in models/, else data/model, if not given.", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder to write; data/onnx if not given. The model folder itself will then hold both.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a model as ONNX graphs that onnxruntime reads, once they are known to compute what torch computes."""
    workspace: Workspace = context.obj
    from latexify.serve.recognizer import default_model
    from latexify.trainer.inference.onnx import export as exporting

    folder = model or default_model(trained_here=workspace.data("model"))
    done = exporting.export_onnx(folder, out=out or workspace.data("onnx"))
    print(done.comparison)
    for name, num_bytes in done.num_bytes.items():
        print(f"{num_bytes:>14,}  {done.folder / name}")
