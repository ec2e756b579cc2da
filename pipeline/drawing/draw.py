"""Drawing ink: strokes in, a grey picture out, at the size the model sees.

Nothing but this and `latexify.fast.cairo_path` imports cairo.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import cairo
import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.fast.cairo_path import PathAppender, Steps, gather_strokes, steps_of
from latexify.pipeline.drawing.fit import Canvas, Factors, place_inks
from latexify.pipeline.inks.ink import Stroke
from latexify.shards.format.png import encode_coverage, encode_png

__all__ = [
    "Canvas",
    "Factors",
    "cairo_version",
    "cover_inks",
    "draw_ink",
    "draw_inks",
    "draw_points",
    "encode_coverage",
    "encode_png",
]

SHIFT_PX = (0.22, 0.015)
"""What cairo's fast antialiasing lays ink too far to the left and up. It samples a pixel at 4 x 4 places, in half the
time of the exact kind; so shifted, inked pixels differ from that by 12 of 255 in the mean (29 without)."""

Pixels = npt.NDArray[np.uint8]


def cairo_version() -> str:
    """Version of the cairo library (not of pycairo): another may draw a little otherwise."""
    return str(cairo.cairo_version_string())


def draw_ink(strokes: Sequence[Stroke], canvas: Canvas) -> Pixels:
    """Draw strokes (each [num_points, 2], any finite units, y downward) as uint8 [height, width], 0 ink, 255 paper.

    The ink is scaled, its aspect ratio kept, until it fills the canvas inside the margins or its usual stroke is as
    large as the canvas allows, and centred. A stroke without extent is a dot of the pen's width. Raises LatexifyError
    where there is no point or one that is not finite.
    """
    drawn = [stroke for stroke in strokes if len(stroke)]
    if not drawn:
        raise LatexifyError("there is nothing to draw: the ink has no points")
    return draw_points(np.concatenate(drawn), np.array([len(stroke) for stroke in drawn]), canvas)


def draw_points(points: npt.NDArray[np.floating], stroke_lengths: npt.NDArray[np.integer], canvas: Canvas) -> Pixels:
    """:func:`draw_ink` for strokes that stand one after another.

    points: [num_points, 2]. stroke_lengths: [num_strokes], each at least 1, their sum is num_points.
    """
    return next(draw_inks(points, stroke_lengths, np.array([len(stroke_lengths)]), canvas))


def draw_inks(
    points: npt.NDArray[np.floating],
    stroke_lengths: npt.NDArray[np.integer],
    num_strokes: npt.NDArray[np.integer],
    canvas: Canvas,
    *,
    factors: Factors | None = None,
) -> Iterator[Pixels]:
    """:func:`draw_points` for many inks that stand one after another, in less time; the pictures are the same.

    num_strokes: [num_inks], each at least 1, their sum is the number of stroke lengths. factors: where pens or sizes
    are not the canvas's. Raises LatexifyError in the turn of an ink that cannot be drawn.
    """
    for coverage in cover_inks(points, stroke_lengths, num_strokes, canvas, factors=factors):
        yield ~coverage


def cover_inks(
    points: npt.NDArray[np.floating],
    stroke_lengths: npt.NDArray[np.integer],
    num_strokes: npt.NDArray[np.integer],
    canvas: Canvas,
    *,
    factors: Factors | None = None,
) -> Iterator[Pixels]:
    """:func:`draw_inks` as cairo has it: 0 paper, 255 ink. Each array is painted over when the next is asked for."""
    placed = place_inks(points, stroke_lengths, num_strokes, canvas, factors=factors)
    lines = gather_strokes(placed.stroke_lengths, placed.num_strokes)
    # moved here and not by cairo's matrix, which each point would go through
    x_px, y_px = placed.x_px + SHIFT_PX[0], placed.y_px + SHIFT_PX[1]
    steps = steps_of(x_px, y_px, lines.starts, lines.lengths)
    easel = _Easel(canvas)
    start = 0
    facts = zip(lines.paths, placed.pen_widths_px.tolist(), placed.finite.tolist(), strict=True)
    for path_lengths, pen_width_px, is_finite in facts:
        if not is_finite:
            raise LatexifyError("the ink cannot be drawn: a coordinate is not a finite number")
        ends = list(accumulate(path_lengths, initial=start))
        yield easel.paint([steps[first:end] for first, end in pairwise(ends)], pen_width_px)
        start = ends[-1]


class _Easel:
    """A surface that inks are painted on one after another: making one takes as long as painting a short ink."""

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
        self._appender = PathAppender(self._context)

    def paint(self, paths: Iterable[Steps], pen_width_px: float) -> Pixels:
        """Stroke paths with a round pen; the array is the easel's own."""
        self._memory.fill(0)
        self._surface.mark_dirty()
        self._context.set_line_width(pen_width_px)
        for path in paths:
            self._appender.append(path)
            self._context.stroke()
        self._surface.flush()
        return self._coverage
