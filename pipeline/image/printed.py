"""Find what is printed on the paper, or drawn beside the formula: the dots of a grid, the line for the answer."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from latexify.pipeline.image.components import ConnectedComponents

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
MIN_DOTS = 12  # smallest number of dots of a grid
MAX_DOT_ELONGATION = 2.0  # of the box of a dot: longer by shorter side
MIN_DOT_FILLING = 0.5  # of the box of a dot: fraction that is ink
DOT_AREA_FACTOR = 2.0  # dots of a grid differ from their median area by at most this factor
LATTICE_TOLERANCE = 0.15  # of the distance between dots: how far a neighbour may be from its place
MIN_ON_LATTICE = 0.6  # smallest fraction of the dots that have a neighbour in each direction of the grid
MAX_BAR_HEIGHT = 0.12  # of the length of an answer line, more if the pen is thick
MAX_BAR_AREA = 2.2  # times stroke width times length, of an answer line
MIN_COVERED = 0.75  # smallest fraction of the formula's width that is above an answer line
MIN_LENGTH_FACTOR = 1.5  # length by the width of a single symbol above: the bars of `=` and `±` are shorter
MAX_ANSWER_LINES = 2


def is_grid_dot(components: ConnectedComponents) -> Mask:
    """Find the dots of dot-grid paper, bool [count]: equal in size, at equal distances in two directions."""
    none = np.zeros(components.count, np.bool_)
    if components.count < MIN_DOTS:
        return none
    boxes = components.boxes
    sizes = boxes[:, 2:] - boxes[:, :2]
    is_compact = sizes.max(axis=1) <= MAX_DOT_ELONGATION * sizes.min(axis=1)
    is_compact &= components.areas >= MIN_DOT_FILLING * sizes.prod(axis=1)
    if is_compact.sum() < MIN_DOTS:
        return none
    typical = float(np.median(components.areas[is_compact]))
    is_compact &= components.areas <= DOT_AREA_FACTOR * typical
    dots = np.flatnonzero(is_compact & (components.areas >= typical / DOT_AREA_FACTOR))
    if len(dots) < MIN_DOTS:
        return none
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    lattice = _lattice(middles[dots])
    if lattice is None or _num_neighbours(middles[dots], lattice).clip(max=2).sum() < 2 * MIN_ON_LATTICE * len(dots):
        return none
    # dots that are cut by the picture's edge are smaller
    is_small = (components.areas <= DOT_AREA_FACTOR * typical) & (sizes.max(axis=1) <= sizes[dots].max())
    return np.asarray(is_small & (_num_neighbours(middles, lattice) >= 2))


@dataclass(frozen=True, slots=True)
class _Lattice:
    points: cKDTree
    steps: Floats  # [num_steps, 2]: from a point to its neighbours
    reach: float  # how far a neighbour may be from its place


def _lattice(middles: Floats) -> _Lattice | None:
    """The square lattice that most of the points, float [num_points, 2], are on."""
    points = cKDTree(middles)
    distances, neighbours = points.query(middles, k=2)
    steps = middles[neighbours[:, 1]] - middles
    pitch = float(np.median(distances[:, 1]))
    is_near = np.abs(distances[:, 1] - pitch) <= LATTICE_TOLERANCE * pitch
    if not is_near.any():
        return None
    # four times the angle is the same for all four directions of a square lattice
    angles = 4 * np.arctan2(steps[is_near, 0], steps[is_near, 1])
    angle = np.arctan2(np.sin(angles).mean(), np.cos(angles).mean()) / 4
    along = pitch * np.array([np.sin(angle), np.cos(angle)])
    across = np.array([along[1], -along[0]])
    near = [along, -along, across, -across]
    return _Lattice(points, np.array([*near, *(2 * step for step in near)]), LATTICE_TOLERANCE * pitch)


def _num_neighbours(middles: Floats, lattice: _Lattice) -> npt.NDArray[np.int64]:
    """Number of neighbours on the lattice of each point, float [num_points, 2]."""
    distances, _ = lattice.points.query(middles[:, None] + lattice.steps)
    return np.asarray((distances <= lattice.reach).sum(axis=1), dtype=np.int64)


def is_answer_line(components: ConnectedComponents, width_px: float) -> Mask:
    """Find lines below everything else that reach under most of it, bool [count]: where an answer is to be written.

    A fraction bar has something below it. The lower bar of `=` or `±` is not much longer than what is above it.
    """
    found = np.zeros(components.count, np.bool_)
    boxes = components.boxes
    for _ in range(MAX_ANSWER_LINES):
        rest = np.flatnonzero(~found)
        if len(rest) < 2:
            break
        lowest = int(rest[boxes[rest, 2].argmax()])
        others = boxes[rest[rest != lowest]]
        if not _is_answer_line(boxes[lowest], int(components.areas[lowest]), others, width_px):
            break
        found[lowest] = True
    return found


def _is_answer_line(box: npt.NDArray[np.int64], area: int, others: npt.NDArray[np.int64], width_px: float) -> bool:
    top, left, bottom, right = box.tolist()
    length = right - left
    if bottom - top > max(3 * width_px, MAX_BAR_HEIGHT * length) or area > MAX_BAR_AREA * width_px * length:
        return False
    if others[:, 2].max() > top:
        return False
    start, end = int(others[:, 1].min()), int(others[:, 3].max())
    if min(right, end) - max(left, start) < MIN_COVERED * (end - start):
        return False
    lengths = others[:, 3] - others[:, 1]
    symbols = others[(others[:, 2] - others[:, 0] > 3 * width_px) | (lengths < MIN_COVERED * (end - start))]
    return (len(symbols) > 0 and _num_columns(symbols) > 1) or length >= MIN_LENGTH_FACTOR * (end - start)


def _num_columns(boxes: npt.NDArray[np.int64]) -> int:
    """Number of groups of boxes that are side by side."""
    order = boxes[boxes[:, 1].argsort()]
    reached = np.maximum.accumulate(order[:, 3])
    return 1 + int((order[1:, 1] > reached[:-1]).sum())
