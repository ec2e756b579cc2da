"""The commands for a desktop: `clip` (the clipboard) and `watch` (a folder)."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import Device, ModelFolder, RuntimeOption, Threads, Workspace, chosen_model, extra_needed
from latexify.common.errors import LatexifyError
from latexify.serve.formats.formats import Format

Target = Annotated[
    Format, typer.Option("--format", help="Format of the answer: latex, pretty, display, mathml or typst.")
]
Beams = Annotated[int, typer.Option(min=1, max=32, help="Beam width; 1 is the fastest.")]


def clip(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    model: ModelFolder = None,
    beams: Beams = 3,
    target: Target = "pretty",
    device: Device = None,
    runtime: RuntimeOption = None,
    threads: Threads = 1,
) -> None:
    """Recognise the picture in the clipboard, and put its LaTeX there; bind it to a key of your desktop.

    It uses wl-paste and wl-copy on Wayland, xclip on X11, pngpaste or osascript on macOS. The LaTeX is printed as well.
    """
    workspace: Workspace = context.obj
    with extra_needed("recognize"):
        from latexify.serve.desktop.clipboard import find_clipboard, read_picture, write_text
        from latexify.serve.files import DOUBTFUL
        from latexify.serve.recognizer import Recognizer

    clipboard = find_clipboard()
    data = read_picture(clipboard)
    with extra_needed("recognize"):
        recognizer = Recognizer(chosen_model(workspace, model), device=device, runtime=runtime, num_threads=threads)
    [answer] = recognizer.read([recognizer.picture_of(data)], num_beams=beams)
    if recognizer.is_calibrated and answer.confidence < DOUBTFUL:
        _say("probably wrong: not a formula, or not cropped to one?")
    text = answer.to_format(target)
    write_text(clipboard, text)
    print(text)


def watch(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder where pictures or ink files appear, such as screenshots.")],
    model: ModelFolder = None,
    beams: Beams = 3,
    target: Target = "pretty",
    device: Device = None,
    runtime: RuntimeOption = None,
    threads: Threads = 1,
) -> None:
    """Print a line of LaTeX, after the file's name and a tab, for each new picture or ink in a folder; Ctrl-C ends it.

    Files that are there already are left alone; one that changes is recognised again.
    """
    workspace: Workspace = context.obj
    with extra_needed("recognize"):
        from latexify.serve.desktop.watch import new_files
        from latexify.serve.files import FileFailure, answer_files
        from latexify.serve.recognizer import Recognizer

    if not folder.is_dir():
        raise LatexifyError(f"{folder} is no folder: make it first, or name another")
    with extra_needed("recognize"):
        recognizer = Recognizer(chosen_model(workspace, model), device=device, runtime=runtime, num_threads=threads)
    files = new_files(folder)
    _say(f"watching {folder}")
    try:
        for path in files:
            [answer] = answer_files(recognizer, [str(path)], num_beams=beams)
            if isinstance(answer, FileFailure):
                _say(f"{path}: {answer.reason}")
                continue
            try:
                print(f"{path}\t{answer.recognition.to_format(target)}", flush=True)
            except LatexifyError as error:
                _say(f"{path}: {error}")
    except KeyboardInterrupt:
        return


def _say(text: str) -> None:
    print(f"latexify: {text}", file=sys.stderr, flush=True)
