"""Remove ruled lines that are as dark as the ink: straight, thin lines from one edge of the picture to the other."""

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
MAX_SLOPE = 0.12
"""Largest slope of a ruled line, since cameras are held at an angle: its rise over the width of the picture."""
MIN_INKED_FRACTION = 0.85  # smallest fraction of a ruled line's length that must be dark
CROSSING_THICKNESS_FACTOR = 1.8
"""Ink that is thicker than the ruled line by this factor belongs to a stroke that crosses it, and stays."""
EDGE_PX = 3  # distance from the edge of the picture at which lines are looked for
MAX_THICKNESS_FRACTION = 0.03  # largest thickness of a ruled line, as a fraction of the picture's height


def remove_ruled_lines(mask: Mask) -> Mask:
    """Return the mask, bool [height, width], without the lines that span it horizontally or vertically."""
    cleaned = _remove_horizontal(mask.copy())
    return _remove_horizontal(cleaned.T).T


def _remove_horizontal(mask: Mask) -> Mask:
    height, width = mask.shape
    if width <= 4 * EDGE_PX or height <= 4 * EDGE_PX:
        return mask
    columns = np.arange(width)
    for left in _run_centres(mask[:, EDGE_PX]):
        for right in _run_centres(mask[:, -1 - EDGE_PX]):
            if abs(right - left) > MAX_SLOPE * width:
                continue
            rows = np.rint(left + (right - left) * (columns - EDGE_PX) / (width - 1 - 2 * EDGE_PX)).astype(np.intp)
            rows = rows.clip(1, height - 2)
            inked = mask[rows, columns] | mask[rows - 1, columns] | mask[rows + 1, columns]
            if inked.mean() >= MIN_INKED_FRACTION:
                _erase(mask, rows)
    return mask


def _run_centres(column: Mask) -> list[float]:
    """Centres of the runs of ink in a column that are thin enough for a ruled line."""
    edges = np.flatnonzero(np.diff(np.pad(column, 1).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    thin = ends - starts <= max(2.0, MAX_THICKNESS_FRACTION * len(column))
    centres: list[float] = ((starts + ends - 1) / 2)[thin].tolist()
    return centres


def _erase(mask: Mask, rows: Indices) -> None:
    """Erase the ink on the line (one row for each column) where it is about as thin as in most columns."""
    height, width = mask.shape
    columns, reach = np.arange(width), int(MAX_THICKNESS_FRACTION * height) + 2
    above, below = (_extent(mask, rows, columns, step=step, reach=reach) for step in (-1, 1))
    thickness = above + below - 1
    on_line = mask[rows, columns]
    thin = (
        on_line & (thickness <= CROSSING_THICKNESS_FACTOR * np.median(thickness[on_line])) if on_line.any() else on_line
    )
    for column in np.flatnonzero(thin):
        mask[rows[column] - above[column] + 1 : rows[column] + below[column], column] = False


def _extent(mask: Mask, rows: Indices, columns: Indices, *, step: int, reach: int) -> Indices:
    """Length of the run of ink that starts on the line and goes in direction `step`, at most `reach`."""
    is_ink = mask[rows, columns]
    extent = is_ink.astype(np.intp)
    for distance in range(1, reach):
        next_rows = rows + step * distance
        inside = (next_rows >= 0) & (next_rows < len(mask))
        is_ink = is_ink & inside & mask[next_rows.clip(0, len(mask) - 1), columns]
        extent += is_ink
    return extent
