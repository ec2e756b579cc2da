"""How many inks a canvas shrinks below the size of stroke that it aims at, and how large their pictures are.

``python -m benchmarks.studies.canvas_sizes data/inks 64x256 64x512/64 128x1024/32x64`` measures the training inks that
were not composed, and prints a table. A canvas is height x width in pixels, then the steps of its pictures, if any: of
the width, or of height x width.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq
import typer

from latexify.artifacts.names import COMPOSED_NAME
from latexify.pipeline.drawing.fit import Canvas, fit_inks, sides_in_steps

LONG = 30
"""Inks of at least so many strokes are counted apart."""
SHRUNK = 0.95
"""Inks drawn at less than this share of their size are shrunk."""
COMPARED_PX = 64 * 256
"""Areas are relative to that of a picture of this many pixels."""
UNLIMITED = Canvas(height_px=1 << 24, width_px=1 << 24, margin_px=2, pen_width_px=1.5, max_stroke_px=20)
TAKEN_PX = 2 * UNLIMITED.margin_px + UNLIMITED.pen_width_px

Floats = npt.NDArray[np.float64]


def extents_in(folder: Path) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return height and width of inks in pixels, [num_inks, 2], with usual strokes of 20 px; and their strokes."""
    extents, counts = [], []
    for path in sorted(folder.glob("part-*.parquet")):
        table = pq.read_table(path, columns=["split", "source", "points", "stroke_lengths", "num_strokes"])
        wanted = pc.and_(pc.equal(table["split"], "train"), pc.invert(pc.starts_with(table["source"], COMPOSED_NAME)))
        for inks in table.filter(wanted).to_batches():
            fitted = fit_inks(
                inks["points"].flatten().to_numpy().reshape(-1, 2),
                inks["stroke_lengths"].flatten().to_numpy(),
                inks["num_strokes"].to_numpy(),
                UNLIMITED,
            )
            strokes = np.cumsum(fitted.num_strokes) - fitted.num_strokes
            points = np.add.reduceat(fitted.stroke_lengths, strokes)
            first = np.cumsum(points) - points
            sides = [np.maximum.reduceat(x, first) - np.minimum.reduceat(x, first) for x in (fitted.y_px, fitted.x_px)]
            extents.append(np.column_stack(sides))
            counts.append(fitted.num_strokes.astype(np.int64))
    return np.concatenate(extents), np.concatenate(counts)


def row_of(text: str, extents: Floats, num_strokes: npt.NDArray[np.int64]) -> str:
    """Measure a canvas such as ``128x1024/32x64``: a row of the table. Raises ValueError if it is misspelt."""
    size, _, steps = text.partition("/")
    canvas = [int(side) for side in size.split("x")]
    step_px = [None, None, *(int(step) for step in steps.split("x") if step)][-2:]
    scale = np.minimum(1, ((np.array(canvas) - TAKEN_PX) / extents).min(axis=1))
    needed_px = extents * scale[:, None] + TAKEN_PX
    area = np.ones(len(extents))
    for side in range(2):
        area *= sides_in_steps(needed_px[:, side], side_px=canvas[side], step_px=step_px[side])
    is_long = num_strokes >= LONG
    long = " / ".join(f"{each:.2f}" for each in np.percentile(scale[is_long], [10, 50, 90]))
    cells = [f"{(scale < SHRUNK).mean():.0%}", long, *(f"{a.mean() / COMPARED_PX:.2f}" for a in (area, area[is_long]))]
    return f"| {text} | {' | '.join(cells)} |"


def main(
    inks: Annotated[Path, typer.Argument(help="Inks, such as data/inks.")],
    canvases: Annotated[list[str], typer.Argument(help="Canvases, such as 64x256 64x512/64 128x1024/32x64.")],
) -> None:
    """Print the table in Markdown."""
    extents, num_strokes = extents_in(inks)
    has_extent = extents.max(axis=1) > 0
    extents, num_strokes = np.maximum(extents[has_extent], 1e-9), num_strokes[has_extent]
    long = f"{LONG} strokes and more"
    print(f"{len(extents):,} inks, {(num_strokes >= LONG).sum():,} of {long}\n")
    print(f"| canvas | shrunk | scale of {long}: p10 / 50 / 90 | area | area of {long} |\n|---|---:|---:|---:|---:|")
    for canvas in canvases:
        print(row_of(canvas, extents, num_strokes))


if __name__ == "__main__":
    typer.run(main)
