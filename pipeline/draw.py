"""Drawing ink: strokes in, a grey picture out, at the size the model sees. The one module that imports cairo."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cairo
import numpy as np
import numpy.typing as npt

from pipeline.ink import Stroke
from shards.errors import LatexifyError
from shards.png import encode_png

__all__ = ["Canvas", "cairo_version", "draw_ink", "draw_points", "encode_png"]

MIN_EXTENT = 1 / 32
"""Units of the file. Smaller ink is drawn as if it were this large: it is a tap or a rounding error, not an expression.
The smallest expression of CROHME is 0.17 units wide."""

MIN_RELATIVE_EXTENT = 2.0**-18
"""The same, relative to the largest coordinate: 64 steps of a float32, below which a shape is rounding noise."""

CELLS_PER_PX = 2
"""Consecutive points in the same cell of a grid this fine are drawn as one."""


MAX_PATH_POINTS = 1024
"""Few expressions have more points once thinned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The picture to draw on. margin_px: paper left free on every side. pen_width_px: diameter of the round pen.

    Raises LatexifyError where margins and pen leave no room.
    """

    height_px: int
    width_px: int
    margin_px: float
    pen_width_px: float

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) <= 2 * self.margin_px + self.pen_width_px:
            raise LatexifyError(
                f"a canvas of {self.height_px} x {self.width_px} px has no room within margins of {self.margin_px} px "
                f"for a pen of {self.pen_width_px} px: choose a larger canvas, a smaller margin or a thinner pen"
            )


def cairo_version() -> str:
    """Version of the cairo library (not of pycairo): another may draw a little otherwise."""
    return str(cairo.cairo_version_string())


def draw_ink(strokes: Sequence[Stroke], canvas: Canvas) -> npt.NDArray[np.uint8]:
    """Draw strokes (each [num_points, 2], any finite units, y downward) as uint8 [height, width], 0 ink, 255 paper.

    The ink is scaled, its aspect ratio kept, until it fills the canvas inside the margins, and centred. A stroke
    without extent is a dot of the pen's width. Raises LatexifyError where there is no point or one that is not finite.
    """
    drawn = [stroke for stroke in strokes if len(stroke)]
    if not drawn:
        raise LatexifyError("there is nothing to draw: the ink has no points")
    return draw_points(np.concatenate(drawn), np.array([len(stroke) for stroke in drawn]), canvas)


def draw_points(
    points: npt.NDArray[np.floating], stroke_lengths: npt.NDArray[np.integer], canvas: Canvas
) -> npt.NDArray[np.uint8]:
    """:func:`draw_ink` for strokes that stand one after another.

    points: [num_points, 2]. stroke_lengths: [num_strokes], each at least 1, their sum is num_points.
    """
    if not np.isfinite(points).all():
        raise LatexifyError("the ink cannot be drawn: a coordinate is not a finite number")
    return _paint(*_thin(_fit(points.astype(np.float64), canvas), stroke_lengths), canvas)


def _fit(points: npt.NDArray[np.float64], canvas: Canvas) -> npt.NDArray[np.float64]:
    """Map points from their own units to pixels, so that the pen's outline touches the margins."""
    low, high = points.min(axis=0), points.max(axis=0)
    size_px = np.array([canvas.width_px, canvas.height_px], dtype=np.float64)
    room_px = size_px - 2 * canvas.margin_px - canvas.pen_width_px
    least = max(MIN_EXTENT, float(np.abs(points).max()) * MIN_RELATIVE_EXTENT)
    widest = float(((high - low) / room_px).max())  # of the two sides, as a share of its room
    scale = 1 / max(widest, least / float(room_px.min()))
    fitted: npt.NDArray[np.float64] = (points - (low + high) / 2) * scale + size_px / 2
    return fitted


def _thin(
    points: npt.NDArray[np.float64], stroke_lengths: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
    """Drop points that fall into the same cell as the one before, save the ends of strokes.

    Pens send several points a pixel, and drawing time goes with their number. A grid, not a distance: comparing whole
    numbers gives the same answer on every machine.
    """
    ends = np.cumsum(stroke_lengths)
    starts = ends - stroke_lengths
    cells = np.floor(points * CELLS_PER_PX)
    kept = np.ones(len(points), dtype=np.bool_)
    kept[1:] = (cells[1:] != cells[:-1]).any(axis=1)
    kept[starts] = kept[ends - 1] = True
    return points[kept], np.add.reduceat(kept, starts, dtype=np.intp)


def _paint(
    points: npt.NDArray[np.float64], stroke_lengths: npt.NDArray[np.intp], canvas: Canvas
) -> npt.NDArray[np.uint8]:
    """Stroke the lines between points given in pixels with a round pen."""
    stride = cairo.ImageSurface.format_stride_for_width(cairo.FORMAT_A8, canvas.width_px)
    coverage = np.zeros((canvas.height_px, stride), dtype=np.uint8)
    surface = cairo.ImageSurface.create_for_data(
        coverage.data, cairo.FORMAT_A8, canvas.width_px, canvas.height_px, stride
    )
    context = cairo.Context(surface)
    context.set_line_width(canvas.pen_width_px)
    context.set_line_cap(cairo.LINE_CAP_ROUND)
    context.set_line_join(cairo.LINE_JOIN_ROUND)
    # ANTIALIAS_FAST would save a third of the time, but misses coverage by up to 100 of 255 on thin lines
    context.set_antialias(cairo.ANTIALIAS_GRAY)
    for path in _paths(points, stroke_lengths):
        for line in path:
            context.move_to(*line[0])
            for x, y in line:  # with round caps, the line to where it begins is the dot of a stroke of one point
                context.line_to(x, y)
        context.stroke()
    surface.finish()
    return 255 - coverage[:, : canvas.width_px]


def _paths(points: npt.NDArray[np.float64], stroke_lengths: npt.NDArray[np.intp]) -> Iterator[list[list[list[float]]]]:
    """Gather strokes into the paths that cairo paints at once: lists of lines, each a list of [x, y].

    One path is best, as ink is not laid twice where its strokes cross; but cairo's time grows with the square of a
    path's length, so a scribble is painted in several, and a stroke that is longer than a path goes on in the next.
    """
    path: list[list[list[float]]] = []
    num_points = start = 0
    for length in stroke_lengths.tolist():
        end = start + length
        while start < end:
            line = points[start : min(end, start + MAX_PATH_POINTS)].tolist()
            path.append(line)
            num_points += len(line)
            # the next line of the same stroke begins where this one ended
            start += len(line) if start + len(line) == end else len(line) - 1
            if num_points >= MAX_PATH_POINTS:
                yield path
                path, num_points = [], 0
    if path:
        yield path
