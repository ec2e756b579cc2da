"""Fit inks to a canvas: scale from the units of their files to pixels, and drop points that do not show.

Many inks are processed at a time, because with the few hundred points of one ink NumPy's calls would cost more than its
arithmetic. Only sums, products, quotients, square roots, minima and maxima of float64 are used, which are the same to
the last bit on every machine, and inks do not influence each other; so results are reproducible.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError

MIN_EXTENT = 1 / 32
"""In units of the file. Smaller ink is drawn as if it were this large, because it is a tap or a rounding error. The
smallest expression of CROHME is 0.17 units wide."""
MIN_RELATIVE_EXTENT = 2.0**-18
"""The same relative to the largest coordinate: 64 steps of a float32, below which a shape is rounding noise."""
TOLERANCE_PX = 0.1
"""Largest distance of the drawn line from a dropped point."""
PASSES = 4
"""Each pass drops at most every second point; more passes would drop only a few percent more."""

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.integer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The picture to draw on. Raises LatexifyError if margins and pen leave no room, or the steps do not fit.

    max_stroke_px: largest size of an ink's usual stroke (the median of the strokes' longer sides, without dots), so
    that a single letter is not drawn much larger than those of a long formula; None: every ink fills the canvas.
    width_step_px: steps of the width; the picture of an ink is as narrow as its steps allow, and `width_px` at most.
    None: every picture is `width_px` wide.
    height_step_px: the same for the height, with `height_px`.
    """

    height_px: int
    width_px: int
    margin_px: float  # paper left free on every side
    pen_width_px: float  # diameter of the round pen
    max_stroke_px: float | None = None
    width_step_px: int | None = None
    height_step_px: int | None = None

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) <= 2 * self.margin_px + self.pen_width_px:
            raise LatexifyError(
                f"a canvas of {self.height_px} x {self.width_px} px has no room within margins of {self.margin_px} px "
                f"for a pen of {self.pen_width_px} px: choose a larger canvas, a smaller margin or a thinner pen"
            )
        sides = (("width", self.width_px, self.width_step_px), ("height", self.height_px, self.height_step_px))
        for name, side, step in sides:
            if step is not None and (step < 2 or step % 2 or side % step):
                raise LatexifyError(
                    f"a canvas {name} of {side} px cannot be cut in steps of {step} px: choose an even number that "
                    f"divides the {name}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Factors by which inks differ from the canvas's pen width and largest stroke, float64 [num_inks] each."""

    pens: Floats
    strokes: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedInks:
    """Simplified inks in pixels, one after another."""

    x_px: Floats  # [num_points]
    y_px: Floats
    stroke_lengths: Counts  # points of each stroke, [num_strokes], at least 1
    num_strokes: Counts  # strokes of each ink, [num_inks], at least 1
    pen_widths_px: Floats  # [num_inks]
    sizes_px: Counts  # height and width of each ink's picture, [num_inks, 2]
    finite: npt.NDArray[np.bool_]  # whether all coordinates of an ink are finite, [num_inks]; others cannot be drawn


def fit_inks(
    points: npt.NDArray[np.floating],
    stroke_lengths: Counts,
    num_strokes: Counts,
    canvas: Canvas,
    *,
    scales: Scales | None = None,
) -> FittedInks:
    """Scale every ink, with its aspect ratio, until its pen touches the margins; centre it; simplify it.

    If the canvas limits the size of strokes, an ink may stay smaller.

    Args:
        points: Points of all inks, [num_points, 2], x to the right, y downward, in any units.
        stroke_lengths: Points of each stroke, [num_strokes], at least 1; their sum is num_points.
        num_strokes: Strokes of each ink, [num_inks], at least 1; their sum is num_strokes.
        canvas: What to fit them to. Raises LatexifyError if it has no room for the pen of an ink.
        scales: How pens and sizes of the inks differ from the canvas's.
    """
    if scales is None:
        scales = Scales(pens=np.ones(len(num_strokes)), strokes=np.ones(len(num_strokes)))
    pen_widths_px = canvas.pen_width_px * scales.pens
    replace(canvas, pen_width_px=float(pen_widths_px.max()))  # raises if there is no room
    ink_lengths = np.add.reduceat(stroke_lengths, _starts(num_strokes), dtype=np.intp)
    x, y = points[:, 0].astype(np.float64), points[:, 1].astype(np.float64)
    starts = _starts(ink_lengths)
    finite = np.logical_and.reduceat(np.isfinite(x) & np.isfinite(y), starts)
    with np.errstate(invalid="ignore", over="ignore"):  # inks that are not finite, or consist of dots
        limits = np.full(len(num_strokes), np.inf)
        if canvas.max_stroke_px is not None:
            limits = canvas.max_stroke_px * scales.strokes / _usual_strokes(x, y, stroke_lengths, num_strokes)
        taken_px = 2 * canvas.margin_px + pen_widths_px
        x, y = _fit(x, y, ink_lengths, (canvas.width_px - taken_px, canvas.height_px - taken_px), limits)
        sizes_px = np.column_stack(
            [
                _picture_sides(y, starts, taken_px, side_px=canvas.height_px, step_px=canvas.height_step_px),
                _picture_sides(x, starts, taken_px, side_px=canvas.width_px, step_px=canvas.width_step_px),
            ]
        )
        x, y = x + canvas.width_px / 2, y + canvas.height_px / 2
        x, y, simplified = simplify(x, y, stroke_lengths)
    return FittedInks(
        x_px=x,
        y_px=y,
        stroke_lengths=simplified,
        num_strokes=num_strokes,
        pen_widths_px=pen_widths_px,
        sizes_px=sizes_px,
        finite=finite,
    )


def _starts(lengths: Counts) -> Counts:
    return np.cumsum(lengths) - lengths


def _usual_strokes(x: Floats, y: Floats, stroke_lengths: Counts, num_strokes: Counts) -> Floats:
    """Return the median longer side of each ink's strokes without dots, float64 [num_inks]; tiny if all are dots."""
    starts = _starts(stroke_lengths)
    extents = np.maximum(
        np.maximum.reduceat(x, starts) - np.minimum.reduceat(x, starts),
        np.maximum.reduceat(y, starts) - np.minimum.reduceat(y, starts),
    )
    inks = np.repeat(np.arange(len(num_strokes)), num_strokes)
    inks, extents = inks[extents > 0], extents[extents > 0]
    extents = extents[np.lexsort((extents, inks))]  # by ink, and within it by size
    counts = np.bincount(inks, minlength=len(num_strokes))
    first, count = _starts(counts)[counts > 0], counts[counts > 0]
    usual = np.full(len(num_strokes), np.finfo(np.float64).tiny)
    usual[counts > 0] = (extents[first + (count - 1) // 2] + extents[first + count // 2]) / 2
    return usual


def _fit(
    x: Floats, y: Floats, ink_lengths: Counts, room_px: tuple[Floats, Floats], limits: Floats
) -> tuple[Floats, Floats]:
    """Map points to pixels around (0, 0). By ink: `room_px` are widths and heights to fill, `limits` largest scales."""
    starts = _starts(ink_lengths)
    low_x, high_x = np.minimum.reduceat(x, starts), np.maximum.reduceat(x, starts)
    low_y, high_y = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
    room_x_px, room_y_px = room_px
    largest = np.maximum(np.maximum(abs(low_x), abs(high_x)), np.maximum(abs(low_y), abs(high_y)))
    least = np.maximum(MIN_EXTENT, largest * MIN_RELATIVE_EXTENT)
    widest = np.maximum((high_x - low_x) / room_x_px, (high_y - low_y) / room_y_px)  # relative to its room
    scale = np.minimum(1 / np.maximum(widest, least / np.minimum(room_x_px, room_y_px)), limits)
    middle_x, middle_y, scale = np.repeat([(low_x + high_x) / 2, (low_y + high_y) / 2, scale], ink_lengths, axis=1)
    return (x - middle_x) * scale, (y - middle_y) * scale


def _picture_sides(x: Floats, starts: Counts, taken_px: Floats, *, side_px: int, step_px: int | None) -> Counts:
    """Return one side of each ink's picture, int [num_inks]: the fewest steps that hold the ink, margins and pen.

    x: coordinates of all points along that side in pixels, centred; starts: first point of each ink; taken_px: margins
    and pen; side_px: of the canvas.
    """
    if step_px is None:
        return np.full(len(starts), side_px)
    needed_px = np.maximum.reduceat(x, starts) - np.minimum.reduceat(x, starts) + taken_px
    return sides_in_steps(needed_px, side_px=side_px, step_px=step_px)


def sides_in_steps(needed_px: npt.ArrayLike, *, side_px: int, step_px: int | None) -> Counts:
    """Return the sides of pictures: the fewest steps that hold what is needed, `side_px` at most.

    Args:
        needed_px: Pixels that each picture needs, [n].
        side_px: The canvas's.
        step_px: None if all pictures have the canvas's side.
    """
    needed = np.nan_to_num(np.asarray(needed_px, dtype=np.float64), nan=0, posinf=0)
    if step_px is None:
        return np.full(needed.shape, side_px)
    # an ink that fills a picture to the last digit must not need another step for a rounding error
    steps = np.ceil(needed / step_px - 1e-6)
    return np.clip(steps.astype(np.intp), 1, side_px // step_px) * step_px


def simplify(x: Floats, y: Floats, stroke_lengths: Counts) -> tuple[Floats, Floats, Counts]:
    """Drop points that lie within `TOLERANCE_PX` of the line drawn without them, but never the ends of strokes.

    Drawing time is proportional to the number of points. Each pass looks at every second point of a stroke, so the
    neighbours of a dropped point stay. `error_px` of a point bounds the distance from the line between it and the point
    before to all points dropped between them; dropping a corner adds its distance to the bound.
    """
    error_px = np.zeros(len(x))
    for _ in range(PASSES):
        starts = _starts(stroke_lengths)
        at = _seconds(starts, stroke_lengths)
        new_error_px = _corner_px(x, y, at) + np.maximum(error_px[at], error_px[at + 1])
        needless = new_error_px <= TOLERANCE_PX
        at = at[needless]
        error_px[at + 1] = new_error_px[needless]
        is_kept = np.ones(len(x), dtype=np.bool_)
        is_kept[at] = False
        stroke_lengths = np.add.reduceat(is_kept, starts, dtype=np.intp)
        kept = np.flatnonzero(is_kept)
        x, y, error_px = x[kept], y[kept], error_px[kept]
    return x, y, stroke_lengths


def _seconds(starts: Counts, stroke_lengths: Counts) -> npt.NDArray[np.intp]:
    """Return the indices of every second point of each stroke, without its ends: 1, 3, 5, … of the first, and so on."""
    counts = (stroke_lengths - 1) // 2
    return np.repeat(starts + 1 - 2 * _starts(counts), counts) + np.arange(0, 2 * counts.sum(), 2)


def _corner_px(x: Floats, y: Floats, at: npt.NDArray[np.intp]) -> Floats:
    """Return the distances of the points with these indices from the lines between their neighbours."""
    step_x, step_y = x[1:] - x[:-1], y[1:] - y[:-1]
    before = at - 1
    before_x, before_y, after_x, after_y = step_x[before], step_y[before], step_x[at], step_y[at]
    across_x, across_y = before_x + after_x, before_y + after_y
    # beside the line and not beyond one of its ends
    beside = (before_x * across_x + before_y * across_y > 0) & (after_x * across_x + after_y * across_y > 0)
    twice_area = before_x * after_y - before_y * after_x
    length_squared = np.where(beside, across_x * across_x + across_y * across_y, 1.0)
    to_end_squared = np.minimum(before_x * before_x + before_y * before_y, after_x * after_x + after_y * after_y)
    corner_px: Floats = np.sqrt(np.where(beside, twice_area * twice_area / length_squared, to_end_squared))
    return corner_px
