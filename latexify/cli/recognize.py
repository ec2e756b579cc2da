"""The command `recognize`: LaTeX of ink files and pictures."""

import json
import sys
from collections.abc import Iterator
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
from latexify.common.progress import Progress
from latexify.serve.formats.formats import Format

if TYPE_CHECKING:
    from latexify.serve.files import FileAnswer

MANY_FILES = 20
"""From so many files on, stderr shows the progress where stdout is no terminal."""


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
    names files whose answers have a confidence under 20 %.
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
    if image_out is not None:
        _make_folder(image_out)
    answers = answer_files(recognizer, sources.names, num_beams=beams, num_drawings=drawings, only=only)
    with _progress(len(sources.names)) as progress:
        for number, answer in enumerate(answers, start=1):
            text = None
            if isinstance(answer, FileFailure):
                progress.message(f"latexify: {answer.name}: {answer.reason}")
            else:
                for doubt in _doubts(answer):
                    progress.message(f"latexify: {answer.name}: {doubt}")
                if image_out is not None:
                    _write_picture(image_out, number, answer)
                try:
                    text = _line(answer, target=target, as_json=as_json, with_name=with_names)
                except LatexifyError as error:
                    progress.message(f"latexify: {answer.name}: {error}")
            if text is None:
                any_failed = True
            else:
                print(text, flush=True)
            progress.advance()
    if any_failed:
        raise typer.Exit(1)


def _progress(num_files: int) -> Progress:
    """Show how far a long list is, unless the lines of the answers show it themselves."""
    return Progress("recognize", total=num_files, unit="files", quiet=num_files < MANY_FILES or sys.stdout.isatty())


def _doubts(answer: "FileAnswer") -> Iterator[str]:
    """Say what may be wrong with an answer."""
    if answer.left_out:
        others = ", ".join(f"{count:,} {kind}" for kind, count in sorted(answer.left_out.items()))
        yield f"left out, because they are no strokes: {others}"
    if answer.is_doubtful:
        percent = 100 * answer.recognition.confidence
        yield f"probably wrong (confidence {percent:.0f} %): not a formula, or not cropped to one?"


def _line(answer: "FileAnswer", *, target: Format, as_json: bool, with_name: bool) -> str:
    """Return the line of an answer on stdout. Raises LatexifyError if it cannot be written in that format."""
    if as_json:
        formats = () if target == "latex" else (target,)
        return json.dumps(answer.to_dict(formats=formats), ensure_ascii=False)
    text = answer.recognition.to_format(target)
    return f"{answer.name}\t{text}" if with_name else text


def _say(text: str) -> None:
    print(f"latexify: {text}", file=sys.stderr, flush=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LatexifyError(f"--image-out: {folder} cannot be made a folder ({error.strerror}): name another") from None


def _write_picture(folder: Path, number: int, answer: "FileAnswer") -> None:
    """Write the picture that the model read; numbers distinguish files of the same name in different folders."""
    from latexify.artifacts.files import write_atomically
    from latexify.shards.format.png import encode_png

    write_atomically(folder / f"{number:05d}-{Path(answer.name).stem}.png", encode_png(answer.picture))
