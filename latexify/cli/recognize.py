"""The command that reads handwriting: ``recognize``. Wiring only."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latexify.cli.options import Constrained, Device, RuntimeName, Workspace

if TYPE_CHECKING:
    from latexify.serve.batch_files import FileAnswer


def recognize(  # noqa: PLR0913, PLR0917  # a switch each
    context: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(help="InkML files, images of any kind, folders of them, or - for stdin.")
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="Model folder; the one in models/, else data/model, if not given.", show_default=False),
    ] = None,
    beams: Annotated[
        int, typer.Option(min=1, max=32, help="Beginnings to follow; more than 1 finds alternatives.")
    ] = 1,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON object a line, with confidence, alternatives and time.")
    ] = False,
    image_out: Annotated[
        Path | None, typer.Option(help="Write what the model sees of each file into this folder, as PNG.")
    ] = None,
    constrained: Constrained = None,
    device: Device = None,
    runtime: RuntimeName = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; more than 1 pay for large models only.")] = 1,
) -> None:
    """Read handwritten mathematics: one line of LaTeX for each ink or picture, in the order given.

    A file that cannot be read gets a line on stderr that says why; the others are done, and the exit code is 1.
    """
    workspace: Workspace = context.obj
    from latexify.serve.batch_files import FileFailure, answer_files
    from latexify.serve.files import list_sources
    from latexify.serve.recognizer import Recognizer, default_model

    folder = model or default_model(trained_here=workspace.data("model"))
    recognizer = Recognizer(folder, device=device, runtime=runtime, constrained=constrained, num_threads=threads)
    with_names = len(paths) > 1 or Path(paths[0]).is_dir()
    any_failed = False
    for number, answer in enumerate(answer_files(recognizer, list_sources(paths), num_beams=beams), start=1):
        if isinstance(answer, FileFailure):
            any_failed = True
            print(f"latexify: {answer.name}: {answer.reason}", file=sys.stderr, flush=True)
            continue
        if image_out is not None:
            _write_picture(image_out, number, answer)
        print(_line(answer, as_json=as_json, with_name=with_names), flush=True)
    if any_failed:
        raise typer.Exit(1)


def _line(answer: "FileAnswer", *, as_json: bool, with_name: bool) -> str:
    """A line of the output."""
    if as_json:
        return json.dumps(answer.to_dict(), ensure_ascii=False)
    latex = answer.recognition.latex
    return f"{answer.name}\t{latex}" if with_name else latex


def _write_picture(folder: Path, number: int, answer: "FileAnswer") -> None:
    """Write what the model saw; numbers keep files apart whose names are the same in different folders."""
    from latexify.artifacts.files import write_atomically
    from latexify.shards.format.png import encode_png

    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{number:05d}-{Path(answer.name).stem}.png", encode_png(answer.picture))
