"""Counts how many short formulas a thick pen leaves as they are, beside how many are read right.

``python -m benchmarks.studies.thick_pens`` with LATEXIFY_REAL_DATA (CONTRIBUTING.md). Strokes that run together, and
loops that fill, change the number of connected pieces and of holes. What is covered by ink cannot be traced, so
formulas that keep both numbers are those that a perfect tracing would surely show as the pen drew them.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import typer
from PIL import Image
from scipy import ndimage

from benchmarks.bench.inks import CROHME_ARCHIVES, real_data
from benchmarks.studies.picture_kinds import PEN_PERCENT, thick
from benchmarks.studies.pictures import LABELS, chosen_inks, encode
from latexify.pipeline.inks.ink import Ink
from latexify.serve.evaluate.inks import read_labelled_inks
from latexify.serve.recognizer import Recognizer

Flags = npt.NDArray[np.bool_]
THIN_PERCENT = 2  # of the longest side: a pen that covers next to nothing


def topology(picture: Image.Image) -> tuple[int, int]:
    """Return the number of connected pieces of a drawn formula, and of the holes in them."""
    ink = np.pad(np.asarray(picture) < 128, 1)
    _, num_pieces = ndimage.label(ink, structure=np.ones((3, 3)))
    _, num_holes = ndimage.label(~ink)
    return num_pieces, num_holes - 1


def drawn(ink: Ink, number: int, percent: int) -> Image.Image:
    """The picture of an ink that `benchmarks.studies.pictures` reads."""
    return thick(ink.strokes, np.random.default_rng(number), percent=percent)


def right(inks: Sequence[Ink], pictures: Sequence[Image.Image], recognizer: Recognizer, num_drawings: int) -> Flags:
    """Which of the pictures are read right, bool [num_inks]."""
    seen = [recognizer.picture_of(encode(picture)) for picture in pictures]
    answers = recognizer.read(seen, num_drawings=num_drawings)
    return np.array([answer.latex == ink.label for answer, ink in zip(answers, inks, strict=True)])


def main(
    half: Annotated[Literal["choose", "report"], typer.Option(help="Half of the writers.")] = "report",
    num_short: Annotated[int, typer.Option(help="Number of formulas.")] = 58,
    drawings: Annotated[int, typer.Option(help="Drawings that vote, in a column of its own.")] = 7,
) -> None:
    """Print a table of pens: formulas that are read right, and those whose pieces and holes the pen leaves."""
    raw = real_data()
    if raw is None:
        raise SystemExit("LATEXIFY_REAL_DATA is not set: see CONTRIBUTING.md")
    recognizer = Recognizer(num_threads=1)
    inks = read_labelled_inks([str(raw / CROHME_ARCHIVES[0])], labels=LABELS, split="train").inks
    chosen = chosen_inks(inks, half=half, num_inks=num_short, is_short=True, recognizer=recognizer)
    thin = [topology(drawn(ink, number, THIN_PERCENT)) for number, ink in enumerate(chosen)]
    print(
        f"| pen | right | right with {drawings} drawings | pieces kept | pieces and holes kept | of these right | of |"
    )
    print(f"|---|{'---:|' * 6}")
    for percent in PEN_PERCENT:
        pictures = [drawn(ink, number, percent) for number, ink in enumerate(chosen)]
        is_right = right(chosen, pictures, recognizer, 1)
        with_drawings = right(chosen, pictures, recognizer, drawings)
        shapes = [topology(picture) for picture in pictures]
        pieces = sum(a[0] == b[0] for a, b in zip(shapes, thin, strict=True))
        is_kept = np.array([a == b for a, b in zip(shapes, thin, strict=True)])
        counts = [is_right.sum(), with_drawings.sum(), pieces, is_kept.sum(), (is_right & is_kept).sum(), len(chosen)]
        print(f"| {percent} % | {' | '.join(map(str, counts))} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
