"""Drawing ink: strokes in, a grey picture out, at the size the model sees. The one module that imports cairo."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise

import cairo
import numpy as np
import numpy.typing as npt

from pipeline.ink import Stroke
from pipeline.placing import Canvas, Factors, place_inks
from shards.errors import LatexifyError
from shards.png import encode_coverage, encode_png

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

MAX_PATH_POINTS = 1024
"""Few expressions have more points once thinned."""

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
    # moved here and not by cairo's matrix, which each point would go through
    x_px, y_px = ((places + shift).tolist() for places, shift in zip((placed.x_px, placed.y_px), SHIFT_PX, strict=True))
    lengths = placed.stroke_lengths.tolist()
    easel = _Easel(canvas)
    start = first = 0
    facts = zip(placed.num_strokes.tolist(), placed.pen_widths_px.tolist(), placed.finite.tolist(), strict=True)
    for count, pen_width_px, is_finite in facts:
        if not is_finite:
            raise LatexifyError("the ink cannot be drawn: a coordinate is not a finite number")
        ink_lengths = lengths[first : first + count]
        end = start + sum(ink_lengths)
        yield easel.paint(x_px[start:end], y_px[start:end], ink_lengths, pen_width_px)
        start, first = end, first + count


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

    def paint(self, x_px: list[float], y_px: list[float], stroke_lengths: list[int], pen_width_px: float) -> Pixels:
        """Stroke the lines between points with a round pen; the array is the easel's own."""
        self._memory.fill(0)
        self._surface.mark_dirty()
        move_to, line_to = self._context.move_to, self._context.line_to
        self._context.set_line_width(pen_width_px)
        for path in _paths(stroke_lengths):
            for start, end in path:
                move_to(x_px[start], y_px[start])
                # with round caps, the line to where it begins is the dot of a stroke of one point; a deque of no length
                # exhausts the map without a loop in Python
                deque(map(line_to, x_px[start:end], y_px[start:end]), maxlen=0)
            self._context.stroke()
        self._surface.flush()
        return self._coverage


def _paths(stroke_lengths: list[int]) -> Iterable[list[tuple[int, int]]]:
    """Gather strokes into the paths that cairo paints at once: lists of lines, each from one point up to another.

    One path is best, as ink is not laid twice where its strokes cross; but cairo's time grows with the square of a
    path's length, so a scribble is painted in several.
    """
    if sum(stroke_lengths) <= MAX_PATH_POINTS:
        return [list(pairwise(accumulate(stroke_lengths, initial=0)))]
    return _short_paths(stroke_lengths)


def _short_paths(stroke_lengths: list[int]) -> Iterator[list[tuple[int, int]]]:
    """Paths of about `MAX_PATH_POINTS`; a stroke that is longer than a path goes on in the next."""
    path: list[tuple[int, int]] = []
    num_points = start = 0
    for length in stroke_lengths:
        end = start + length
        while start < end:
            stop = min(end, start + MAX_PATH_POINTS)
            path.append((start, stop))
            num_points += stop - start
            # the next line of the same stroke begins where this one ended
            start = stop if stop == end else stop - 1
            if num_points >= MAX_PATH_POINTS:
                yield path
                path, num_points = [], 0
    if path:
        yield path
