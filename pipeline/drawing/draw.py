"""Draw inks with cairo: strokes to grey pictures.

Only this module and `latexify.fast.cairo_path` import cairo.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import cairo
import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.fast.cairo_path import PathData, path_appender, path_data_of
from latexify.pipeline.drawing.fit import Canvas, Scales, fit_inks
from latexify.pipeline.drawing.paths import gather_strokes
from latexify.pipeline.inks.ink import Stroke
from latexify.shards.format.png import encode_coverage, encode_png

__all__ = ["Canvas", "Scales", "draw_coverage", "draw_ink", "draw_inks", "draw_points", "encode_coverage", "encode_png"]

SHIFT_PX = (0.22, 0.015)
"""How far cairo's fast antialiasing draws too far to the left and up. It samples a pixel at 4 x 4 points, in half the
time of exact antialiasing. With this shift inked pixels differ from exact ones by 12 of 255 on average (29 without)."""

Pixels = npt.NDArray[np.uint8]


def draw_ink(strokes: Sequence[Stroke], canvas: Canvas) -> Pixels:
    """Draw one ink.

    The ink is scaled, with its aspect ratio, until it fills the canvas inside the margins or its usual stroke is as
    large as the canvas allows, and centred. A stroke without extent becomes a dot of the pen's width.

    Args:
        strokes: Arrays [num_points, 2] in any finite units, y downward.
        canvas: What to draw on.

    Returns:
        The picture, uint8 [height, width], 0 = ink, 255 = paper.

    Raises:
        LatexifyError: If there is no point, or one that is not finite.
    """
    strokes = [stroke for stroke in strokes if len(stroke)]
    if not strokes:
        raise LatexifyError("there is nothing to draw: the ink has no points")
    return draw_points(np.concatenate(strokes), np.array([len(stroke) for stroke in strokes]), canvas)


def draw_points(points: npt.NDArray[np.floating], stroke_lengths: npt.NDArray[np.integer], canvas: Canvas) -> Pixels:
    """Draw as :func:`draw_ink` does, from points [num_points, 2] and the lengths (at least 1) of the strokes."""
    return next(draw_inks(points, stroke_lengths, np.array([len(stroke_lengths)]), canvas))


def draw_inks(
    points: npt.NDArray[np.floating],
    stroke_lengths: npt.NDArray[np.integer],
    num_strokes: npt.NDArray[np.integer],
    canvas: Canvas,
    *,
    scales: Scales | None = None,
) -> Iterator[Pixels]:
    """Draw many inks; faster than one by one, and the pictures are the same.

    Args:
        points: Points of all inks, [num_points, 2].
        stroke_lengths: Points of each stroke, [num_strokes], at least 1; their sum is num_points.
        num_strokes: Strokes of each ink, [num_inks], at least 1; their sum is num_strokes.
        canvas: What to draw on.
        scales: How pens and sizes of the inks differ from the canvas's.

    Yields:
        The pictures, uint8 [height, width], 0 = ink, 255 = paper.

    Raises:
        LatexifyError: When the turn comes of an ink that cannot be drawn.
    """
    for coverage in draw_coverage(points, stroke_lengths, num_strokes, canvas, scales=scales):
        yield ~coverage


def draw_coverage(
    points: npt.NDArray[np.floating],
    stroke_lengths: npt.NDArray[np.integer],
    num_strokes: npt.NDArray[np.integer],
    canvas: Canvas,
    *,
    scales: Scales | None = None,
) -> Iterator[Pixels]:
    """Draw as :func:`draw_inks` does, but with 0 = paper, 255 = ink; each yielded array is reused for the next ink."""
    fitted = fit_inks(points, stroke_lengths, num_strokes, canvas, scales=scales)
    lines = gather_strokes(fitted.stroke_lengths, fitted.num_strokes)
    # not by cairo's matrix, which it would apply point by point
    x_px, y_px = fitted.x_px + SHIFT_PX[0], fitted.y_px + SHIFT_PX[1]
    elements = path_data_of(x_px, y_px, lines.starts, lines.lengths)
    surface = _Surface(canvas)
    start = 0
    inks = zip(lines.paths, fitted.pen_widths_px.tolist(), fitted.finite.tolist(), strict=True)
    for path_lengths, pen_width_px, is_finite in inks:
        if not is_finite:
            raise LatexifyError("the ink cannot be drawn: a coordinate is not a finite number")
        ends = list(accumulate(path_lengths, initial=start))
        yield surface.draw([elements[first:end] for first, end in pairwise(ends)], pen_width_px)
        start = ends[-1]


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
