"""Draw inks with cairo: strokes to grey pictures.

Only this module and `latexify.fast.cairo_path` import cairo.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import cairo
import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.fast.cairo_path import PathData, path_appender, path_data_of
from latexify.pipeline.drawing.fit import Canvas, Counts, Scales, fit_inks
from latexify.pipeline.inks.ink import Stroke
from latexify.shards.format.png import encode_coverage, encode_png

__all__ = ["Canvas", "Scales", "draw_coverage", "draw_ink", "draw_points", "encode_coverage", "encode_png"]

SHIFT_PX = (0.22, 0.015)
"""How far cairo's fast antialiasing draws too far to the left and up. It samples a pixel at 4 x 4 points, in half the
time of exact antialiasing. With this shift inked pixels differ from exact ones by 12 of 255 on average (29 without)."""
MAX_PATH_POINTS = 1024
"""Few expressions have more points once they are simplified."""

Pixels = npt.NDArray[np.uint8]


def draw_ink(strokes: Sequence[Stroke], canvas: Canvas) -> Pixels:
    """Draw one ink: strokes [num_points, 2] in any finite units, y downward.

    The ink is scaled, with its aspect ratio, until it fills the canvas inside the margins or its usual stroke is as
    large as the canvas allows, and centred. A stroke without extent becomes a dot of the pen's width. Returns uint8
    [height, width], 0 = ink, 255 = paper; see :class:`Canvas` for the size. Raises LatexifyError if there is no point,
    or one that is not finite.
    """
    strokes = [stroke for stroke in strokes if len(stroke)]
    if not strokes:
        raise LatexifyError("there is nothing to draw: the ink has no points")
    return draw_points(np.concatenate(strokes), np.array([len(stroke) for stroke in strokes]), canvas)


def draw_points(points: npt.NDArray[np.floating], stroke_lengths: Counts, canvas: Canvas) -> Pixels:
    """Draw as :func:`draw_ink` does, from points [num_points, 2] and the lengths (at least 1) of the strokes."""
    return ~next(draw_coverage(points, stroke_lengths, np.array([len(stroke_lengths)]), canvas))


def draw_coverage(
    points: npt.NDArray[np.floating],
    stroke_lengths: Counts,
    num_strokes: Counts,
    canvas: Canvas,
    *,
    scales: Scales | None = None,
) -> Iterator[Pixels]:
    """Draw many inks as :func:`fit_inks` takes them; faster than one by one, with the same result.

    Yields uint8 [height, width], 0 = paper, 255 = ink; the array is reused for the next ink. If the canvas has steps,
    a picture is as large as its ink needs. Raises LatexifyError when the turn comes of an ink that cannot be drawn.
    """
    fitted = fit_inks(points, stroke_lengths, num_strokes, canvas, scales=scales)
    lines = gather_strokes(fitted.stroke_lengths, fitted.num_strokes)
    # not by cairo's matrix, which it would apply point by point
    x_px, y_px = fitted.x_px + SHIFT_PX[0], fitted.y_px + SHIFT_PX[1]
    elements = path_data_of(x_px, y_px, lines.starts, lines.lengths)
    surface = _Surface(canvas)
    start = 0
    facts = (fitted.pen_widths_px, fitted.sizes_px, fitted.finite)
    inks = zip(lines.paths, *(column.tolist() for column in facts), strict=True)
    for path_lengths, pen_width_px, (height_px, width_px), is_finite in inks:
        if not is_finite:
            raise LatexifyError("the ink cannot be drawn: a coordinate is not a finite number")
        ends = list(accumulate(path_lengths, initial=start))
        coverage = surface.draw([elements[first:end] for first, end in pairwise(ends)], pen_width_px)
        top, left = (canvas.height_px - height_px) // 2, (canvas.width_px - width_px) // 2
        yield coverage[top : top + height_px, left : left + width_px]
        start = ends[-1]


class Lines(NamedTuple):
    """The lines to draw, ink after ink."""

    starts: Counts  # index of the first point of each line, [num_lines]
    lengths: Counts  # number of points of each line, [num_lines]
    paths: list[list[int]]  # for each ink, the number of path elements of each path that cairo strokes at once


def gather_strokes(stroke_lengths: Counts, num_strokes: Counts) -> Lines:
    """Gather the strokes of many inks into the paths that cairo strokes at once.

    One path for an ink is best, because cairo then draws crossings only once. But its time grows with the square of a
    path's length, so a scribble is drawn as several paths.
    """
    starts = np.cumsum(stroke_lengths) - stroke_lengths
    first_strokes = np.cumsum(num_strokes) - num_strokes
    num_points = np.add.reduceat(stroke_lengths, first_strokes)
    if num_points.max() <= MAX_PATH_POINTS:
        return Lines(starts, stroke_lengths, (num_points + num_strokes)[:, np.newaxis].tolist())
    inks = np.split(np.column_stack([starts, stroke_lengths]), first_strokes[1:])
    paths = [list(_short_paths(strokes.tolist())) for strokes in inks]
    lines = np.array([line for ink in paths for path in ink for line in path])
    return Lines(lines[:, 0], lines[:, 1], [[sum(length + 1 for _, length in path) for path in ink] for ink in paths])


def _short_paths(strokes: list[list[int]]) -> Iterator[list[tuple[int, int]]]:
    """Yield paths of about `MAX_PATH_POINTS` as lists of lines (first point, number of points) of one ink.

    A stroke that is longer continues in the next path.
    """
    path: list[tuple[int, int]] = []
    num_points = 0
    for first, length in strokes:
        start, end = first, first + length
        while start < end:
            stop = min(end, start + MAX_PATH_POINTS)
            path.append((start, stop - start))
            num_points += stop - start
            # the next line of the same stroke begins at the last point of this one
            start = stop if stop == end else stop - 1
            if num_points >= MAX_PATH_POINTS:
                yield path
                path, num_points = [], 0
    if path:
        yield path


class _Surface:
    """A cairo surface that is reused for many inks, because making one takes as long as drawing a short ink."""

    def __init__(self, canvas: Canvas) -> None:
        stride = cairo.ImageSurface.format_stride_for_width(cairo.FORMAT_A8, canvas.width_px)
        self._memory = np.zeros((canvas.height_px, stride), dtype=np.uint8)
        self._coverage = self._memory[:, : canvas.width_px]
        self._surface = cairo.ImageSurface.create_for_data(
            self._memory.data, cairo.FORMAT_A8, canvas.width_px, canvas.height_px, stride
        )
        self._context = cairo.Context(self._surface)
        self._context.set_line_cap(cairo.LINE_CAP_ROUND)
        self._context.set_line_join(cairo.LINE_JOIN_ROUND)
        self._context.set_antialias(cairo.ANTIALIAS_FAST)
        self._appender = path_appender(self._context)

    def draw(self, paths: Iterable[PathData], pen_width_px: float) -> Pixels:
        """Stroke paths with a round pen; the returned array is overwritten by the next call."""
        self._memory.fill(0)
        self._surface.mark_dirty()
        self._context.set_line_width(pen_width_px)
        for path in paths:
            self._appender.append(path)
            self._context.stroke()
        self._surface.flush()
        return self._coverage
