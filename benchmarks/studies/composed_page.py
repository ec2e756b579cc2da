"""Draws a page of composed and human-written inks in random order, to test whether a person can tell them apart.

Run ``python -m benchmarks.studies.composed_page`` in a folder whose ``data/inks`` holds composed inks and those that
they were made of. It writes a PNG, and a text file with the numbers of the composed inks. Training inks only.
"""

import io
from pathlib import Path
from random import Random
from typing import Annotated

import numpy as np
import typer
from PIL import Image, ImageDraw

from latexify.artifacts.files import write_atomically
from latexify.artifacts.names import COMPOSED_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inks.ink import Ink
from latexify.pipeline.inks.table import read_inks

NUM_COLUMNS = 5
CANVAS = Canvas(height_px=130, width_px=280, margin_px=12, pen_width_px=1.8)
LICENCE = "Made of the training inks of CROHME, which are under CC BY-NC-SA 3.0; so is this page."
FRAME = 200
"""Grey value of the lines between inks."""


def main(
    inks: Annotated[Path, typer.Option(help="Folder of inks.")] = Path("data/inks"),
    out: Annotated[Path, typer.Option(help="PNG to write.")] = Path("docs/images/composed.png"),
    count: Annotated[int, typer.Option(min=1, help="Inks of each kind.")] = 20,
    seed: Annotated[int, typer.Option(help="Random seed of the choice.")] = 1,
) -> None:
    """Draw `count` composed and `count` human-written training inks in random order, numbered."""
    composed, human = _sorted_out(inks)
    if min(len(composed), len(human)) < count:
        raise LatexifyError(
            f"{inks} has {len(composed)} composed and {len(human)} human-written training inks, not --count {count}"
        )
    rng = Random(seed)
    chosen = [(ink, True) for ink in rng.sample(composed, count)]
    chosen += [(ink, False) for ink in rng.sample(human, count)]
    rng.shuffle(chosen)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, _page([ink for ink, _ in chosen]))
    key = ", ".join(str(number) for number, (_, is_composed) in enumerate(chosen, start=1) if is_composed)
    labels = "\n".join(f"{number}\t{ink.normalized_label}" for number, (ink, _) in enumerate(chosen, start=1))
    text = f"Composed: {key}.\nAll others were written by people.\n\n{labels}\n\n{LICENCE}\n"
    write_atomically(out.with_suffix(".txt"), text.encode())


def _sorted_out(inks: Path) -> tuple[list[Ink], list[Ink]]:
    """Composed and human-written training inks."""
    train = [ink for ink in read_inks(inks) if ink.split == "train"]
    composed = [ink for ink in train if ink.source.startswith(f"{COMPOSED_NAME}/")]
    return composed, [ink for ink in train if not ink.source.startswith(f"{COMPOSED_NAME}/")]


def _page(inks: list[Ink]) -> bytes:
    num_rows = -(-len(inks) // NUM_COLUMNS)
    height_px, width_px = CANVAS.height_px, CANVAS.width_px
    page = np.full((num_rows * height_px, NUM_COLUMNS * width_px), 255, np.uint8)
    for number, ink in enumerate(inks):
        top, left = number // NUM_COLUMNS * height_px, number % NUM_COLUMNS * width_px
        page[top : top + height_px, left : left + width_px] = draw_ink(ink.strokes, CANVAS)
    page[::height_px], page[:, ::width_px] = FRAME, FRAME
    image = Image.fromarray(page)
    pen = ImageDraw.Draw(image)
    for number in range(len(inks)):
        corner = (number % NUM_COLUMNS * width_px + 4, number // NUM_COLUMNS * height_px + 3)
        pen.text(corner, str(number + 1), fill=120)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    typer.run(main)
