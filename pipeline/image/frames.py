"""Remove a frame around the formula: an answer box, the cell of a table, a screenshot's border."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from latexify.pipeline.image.components import label_components

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
GAP_FRACTION = 0.004  # of the longest side: gaps of a frame that is drawn by hand are closed up to twice this
MIN_INSIDE = 0.5  # smallest fraction of the other ink that is inside a frame
MIN_RECTANGULARITY = 0.85  # smallest area of a frame's inside, as a fraction of that between its fitted sides
MIN_SIDE_FRACTION = 0.08  # smallest side of a frame, as a fraction of the longest side of the picture
MIN_CONTENT = 0.25  # smallest height or width of the ink in a frame, as a fraction of the frame's
STRAIGHTNESS = 0.02  # largest distance of a side from a straight line, as a fraction of the frame's shorter side
MIN_STRAIGHT_FRACTION = 0.6  # smallest fraction of a side that is straight; strokes may touch the rest
MAX_LEANING = 0.3  # largest slope of a frame's sides
MAX_FRAMES = 3  # one inside the other


def remove_frames(ink: Mask) -> Mask:
    """Return the ink, bool [height, width], without the frame around it; what is outside of the frame stays.

    A frame encloses most of the other ink, and its sides are straight. Ink that touches it is cut off there. Other
    lines that touch it from outside, such as those of a table, go with it.
    """
    for _ in range(MAX_FRAMES if _may_have_frame(ink) else 0):
        # gaps are closed only where needed, because closing them joins the frame and ink nearby
        smaller = _without_frame(ink, reach=0)
        if smaller is None:
            smaller = _without_frame(ink, reach=max(1, round(GAP_FRACTION * max(ink.shape))))
        if smaller is None:
            return ink
        ink = smaller
    return ink


def _may_have_frame(ink: Mask) -> bool:
    """Whether the box of a piece of ink is large and holds much of the ink. Quick, and false for most pictures."""
    if not ink.any():
        return False
    pieces = label_components(ink)
    boxes, total = pieces.boxes, int(pieces.areas.sum())
    is_large = (boxes[:, 2:] - boxes[:, :2]).min(axis=1) >= MIN_SIDE_FRACTION * max(ink.shape)
    for box in boxes[is_large]:
        is_inside = (boxes[:, :2] >= box[:2]).all(axis=1) & (boxes[:, 2:] <= box[2:]).all(axis=1)
        if pieces.areas[is_inside].sum() >= MIN_INSIDE / 2 * total:  # a frame with gaps is in several pieces
            return True
    return False


def _without_frame(ink: Mask, *, reach: int) -> Mask | None:
    """The ink without a frame, or None if it has none. reach: half the width of the gaps that are closed, in pixels."""
    closed = ndimage.maximum_filter(ink, size=2 * reach + 1)
    holes, count = ndimage.label(~closed)
    if count < 2:
        return None
    areas = np.bincount(holes.ravel(), minlength=count + 1)
    areas[0] = 0
    rim = np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]])
    areas[np.unique(rim)] = 0
    hole = int(areas.argmax())
    box = ndimage.find_objects((holes == hole).astype(np.int8))[0]
    if not areas[hole] or min(side.stop - side.start for side in box) < MIN_SIDE_FRACTION * max(ink.shape):
        return None
    inside = _between_sides(holes[box] == hole)
    if inside is None:
        return None
    content = np.zeros_like(ink)
    content[box] = inside
    content = ndimage.maximum_filter(content, size=2 * reach + 1)
    return _select(ink, content)


def _between_sides(hole: Mask) -> Mask | None:
    """The area between four straight lines along the sides of a hole, or None if its sides are not straight."""
    found = (_side(view) for view in (hole, hole[::-1], hole.T, hole.T[::-1]))
    sides = [line for line in found if line is not None]
    if len(sides) < 4:
        return None
    top, bottom, left, right = sides
    rows, columns = np.ogrid[: hole.shape[0], : hole.shape[1]]
    height, width = hole.shape
    inside: Mask = (
        (rows >= _at(top, columns))
        & (height - 1 - rows >= _at(bottom, columns))
        & (columns >= _at(left, rows))
        & (width - 1 - columns >= _at(right, rows))
    )
    filled = ndimage.binary_fill_holes(np.pad(hole, 1))[1:-1, 1:-1]
    # strokes that touch the frame are no part of the hole
    if (inside & filled).sum() < MIN_RECTANGULARITY * max(inside.sum(), filled.sum()):
        return None
    return inside


def _side(hole: Mask) -> tuple[float, float] | None:
    """Fit the upper side of a hole: slope and first row, robust against strokes that touch it. None if it is bent."""
    distances = hole.argmax(axis=0).astype(np.float64)
    columns = np.arange(len(distances), dtype=np.float64)
    is_near = hole.any(axis=0) & (distances < len(hole) / 2)
    kept, line, errors = is_near, (0.0, 0.0), distances
    for _ in range(3):
        if kept.sum() < 2:
            return None
        slope, start = np.polyfit(columns[kept], distances[kept], 1)
        line = (float(slope), float(start))
        errors = np.abs(distances - _at(line, columns))
        kept = is_near & (errors <= max(1.5, 1.5 * float(np.median(errors[kept]))))
    is_straight = np.mean(errors <= 1.5 + STRAIGHTNESS * min(hole.shape)) >= MIN_STRAIGHT_FRACTION
    return line if is_straight and abs(line[0]) <= MAX_LEANING else None


def _at(line: tuple[float, float], positions: npt.NDArray[np.number]) -> Floats:
    return np.asarray(line[0] * positions + line[1], dtype=np.float64)


def _select(ink: Mask, content: Mask) -> Mask | None:
    """The ink without the components around the content, or None if too little or too small a part is inside."""
    labels, _ = ndimage.label(ink, structure=np.ones((3, 3)))
    edge = ndimage.maximum_filter(content, size=3) & ~content
    is_frame = np.zeros(int(labels.max()) + 1, np.bool_)
    is_frame[labels[edge & ink]] = True
    rows, columns = ndimage.find_objects(content.astype(np.int8))[0]
    for number, (other_rows, other_columns) in enumerate(ndimage.find_objects(labels), start=1):
        if other_rows.start < rows.start and other_rows.stop > rows.stop:
            is_frame[number] |= other_columns.start < columns.start and other_columns.stop > columns.stop
    frame = is_frame[labels] & (labels > 0)
    inside, outside = ink & content, ink & ~content & ~frame
    if not inside.any() or inside.sum() < MIN_INSIDE * (inside.sum() + outside.sum()):
        return None
    width, height = (int(np.ptp(np.flatnonzero(inside.any(axis=axis)))) + 1 for axis in (0, 1))
    if width < MIN_CONTENT * (columns.stop - columns.start) and height < MIN_CONTENT * (rows.stop - rows.start):
        return None
    kept: Mask = inside | outside
    return kept
