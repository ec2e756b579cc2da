"""The command `recognize`: LaTeX of ink files and pictures."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latexify.cli.options import (
    Constrained,
    Device,
    Drawings,
    Only,
    RuntimeOption,
    Threads,
    UsedModel,
    Workspace,
    chosen_model,
    extra_needed,
)
from latexify.common.errors import LatexifyError
from latexify.serve.formats.formats import Format

if TYPE_CHECKING:
    from latexify.serve.files import FileAnswer


def recognize(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(help="Ink files (InkML, JSON, SVG, Excalidraw), images, folders of them, or - for stdin."),
    ],
    model: UsedModel = None,
    beams: Annotated[int, typer.Option(min=1, max=32, help="Beam width; values above 1 also return alternatives.")] = 1,
    drawings: Drawings = 1,
    target: Annotated[
        Format,
        typer.Option(
            "--format",
            help="Format of the answers: latex in the normal form, pretty LaTeX for people, display (the same as a "
            "displayed formula), mathml or typst. With --json, `formats` has it beside the LaTeX.",
        ),
    ] = "latex",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line, with confidence, alternatives and time.")
    ] = False,
    image_out: Annotated[
        Path | None, typer.Option(help="Write each picture that the model reads into this folder, as PNG.")
    ] = None,
    only: Only = None,
    constrained: Constrained = None,
    device: Device = None,
    runtime: RuntimeOption = None,
    threads: Threads = 1,
) -> None:
    """Recognise handwritten mathematics: prints one line per ink or picture, in the order given.

    If a file cannot be read, stderr says why, the other files are still recognised, and the exit code is 1. stderr also
    names files whose answers have a confidence under 5 %.
    """
    workspace: Workspace = context.obj
    with extra_needed("recognize"):
        from latexify.serve.files import FileFailure, answer_files, list_sources
        from latexify.serve.recognizer import Recognizer

    sources = list_sources(paths)
    folder = chosen_model(workspace, model)
    with extra_needed("recognize"):
        recognizer = Recognizer(folder, device=device, runtime=runtime, constrained=constrained, num_threads=threads)
    with_names = len(paths) > 1 or Path(paths[0]).is_dir()
    any_failed = False
    if sources.others:
        _say(sources.notice())
    answers = answer_files(recognizer, sources.names, num_beams=beams, num_drawings=drawings, only=only)
    for number, answer in enumerate(answers, start=1):
        if isinstance(answer, FileFailure):
            any_failed = True
            _say(f"{answer.name}: {answer.reason}")
            continue
        if answer.left_out:
            others = ", ".join(f"{count:,} {kind}" for kind, count in sorted(answer.left_out.items()))
            _say(f"{answer.name}: left out, because they are no strokes: {others}")
        if answer.is_doubtful:
            percent = 100 * answer.recognition.confidence
            _say(f"{answer.name}: probably not a formula, or not cropped to one (confidence {percent:.0f} %)")
        if image_out is not None:
            _write_picture(image_out, number, answer)
        if as_json:
            formats = () if target == "latex" else (target,)
            print(json.dumps(answer.to_dict(formats=formats), ensure_ascii=False), flush=True)
            continue
        try:
            text = answer.recognition.to_format(target)
        except LatexifyError as error:
            any_failed = True
            _say(f"{answer.name}: {error}")
            continue
        print(f"{answer.name}\t{text}" if with_names else text, flush=True)
    if any_failed:
        raise typer.Exit(1)


def _say(text: str) -> None:
    print(f"latexify: {text}", file=sys.stderr, flush=True)


def _write_picture(folder: Path, number: int, answer: "FileAnswer") -> None:
    """Write the picture that the model read; numbers distinguish files of the same name in different folders."""
    from latexify.artifacts.files import write_atomically
    from latexify.shards.format.png import encode_png

    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{number:05d}-{Path(answer.name).stem}.png", encode_png(answer.picture))
