"""Find by how much a formula is turned, from what is written, and turn it back.

Symbols that were written one after another lie on a line. Where there are too few of them, bars of minus and equals
signs and of fractions show the same.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from latexify.pipeline.inks.ink import Stroke

Floats = npt.NDArray[np.float64]
MIN_DEGREES = 5.0
"""Formulas that are turned by less stay as they are: people write so, and training inks are turned as well."""
MAX_DEGREES = 28.0
MIN_SIZE = 0.4  # of the median size: smaller pieces are dots, commas and scripts, which lie below and above the line
MIN_PIECES = 5  # smallest number of pieces that show a line
MAX_PIECES = 500
"""Ink of more pieces is no formula, such as a page of print or noise. Each piece is compared with each other."""
MIN_DISTANCE = 2.0  # of the median size, between two pieces that show its direction
MIN_PAIRS = 4
MAX_RANGE_DEGREES = 12.0  # of the middle half of the directions
MIN_BAR_SIZE = 0.35  # of the median size of lines
MIN_STRAIGHTNESS = 0.94  # smallest distance of a bar's ends, as a fraction of its length
MAX_BAR_WEIGHT = 3.0  # in median sizes: longer bars count as much
MIN_BAR_WEIGHT = 1.5  # smallest weight of bars that agree
MIN_AGREEING = 0.6  # the same as a fraction of the weight of all bars
BAR_SPREAD_DEGREES = 5.0  # bars of the same direction differ from it by no more


def turn_back(strokes: Sequence[Stroke], boxes: npt.NDArray[np.int64]) -> list[Stroke]:
    """Turn the strokes of a picture, each [num_points, 2], upright where they are turned clearly.

    boxes: of the connected pieces of ink, [count, 4]: top, left, bottom, right.
    """
    degrees = skew_of(strokes, boxes)
    if degrees is None or abs(degrees) < MIN_DEGREES:
        return list(strokes)
    angle = np.radians(degrees)
    matrix = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
    return [(stroke @ matrix).astype(np.float32) for stroke in strokes]


def skew_of(strokes: Sequence[Stroke], boxes: npt.NDArray[np.int64]) -> float | None:
    """By how many degrees a formula is turned clockwise, at most `MAX_DEGREES`, or None if that cannot be told."""
    if len(boxes) > MAX_PIECES:
        return None
    degrees = _of_pieces(boxes.astype(np.float64))
    if degrees is None:
        degrees = _of_bars(strokes)
    return degrees if degrees is not None and abs(degrees) <= MAX_DEGREES else None


def _of_pieces(boxes: Floats) -> float | None:
    """The median direction from piece to piece, weighted by their distance, if most directions are similar."""
    sizes = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    usual = float(np.median(sizes))
    boxes = boxes[sizes >= MIN_SIZE * usual]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    if len(middles) < MIN_PIECES:
        return None
    first, second = np.triu_indices(len(middles), 1)
    steps = middles[second] - middles[first]
    steps *= np.where(steps[:, 1:] < 0, -1, 1)
    steps = steps[steps[:, 1] > MIN_DISTANCE * usual]
    if len(steps) < MIN_PAIRS:
        return None
    degrees = np.degrees(np.arctan2(steps[:, 0], steps[:, 1]))
    low, middle, high = (_quantile(degrees, steps[:, 1], fraction) for fraction in (0.25, 0.5, 0.75))
    return middle if high - low <= MAX_RANGE_DEGREES else None


def _of_bars(strokes: Sequence[Stroke]) -> float | None:
    """The direction that most of the nearly horizontal bars have, weighted by their lengths."""
    sizes = np.array([np.ptp(stroke, axis=0).max() for stroke in strokes], dtype=np.float64)
    if not (sizes > 0).any():
        return None
    usual = float(np.median(sizes[sizes > 0]))
    bars = [bar for bar in (_bar(stroke, MIN_BAR_SIZE * usual) for stroke in strokes) if bar is not None]
    if not bars:
        return None
    degrees, lengths = np.array(bars).T
    weights = np.minimum(lengths / usual, MAX_BAR_WEIGHT)
    is_near = np.abs(degrees - _quantile(degrees, weights, 0.5)) <= BAR_SPREAD_DEGREES
    agreeing = float(weights[is_near].sum())
    if agreeing < max(MIN_BAR_WEIGHT, MIN_AGREEING * float(weights.sum())):
        return None
    return float((degrees[is_near] * weights[is_near]).sum() / agreeing)


def _bar(stroke: Stroke, least: float) -> tuple[float, float] | None:
    """Direction in degrees and length of a line, or None if it is bent, shorter than `least`, or not horizontal."""
    if len(stroke) < 2:
        return None
    step = (stroke[-1] - stroke[0]).astype(np.float64)
    length = float(np.hypot(*step))
    if length < least or length < MIN_STRAIGHTNESS * float(np.hypot(*np.diff(stroke, axis=0).T).sum()):
        return None
    degrees = float((np.degrees(np.arctan2(step[1], step[0])) + 90) % 180 - 90)
    return (degrees, length) if abs(degrees) < MAX_DEGREES else None


def _quantile(values: Floats, weights: Floats, fraction: float) -> float:
    order = values.argsort()
    sums = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(sums, fraction * sums[-1])])
