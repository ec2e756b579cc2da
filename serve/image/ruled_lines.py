"""Ruled lines of a notebook, where they are as dark as the ink: straight, thin, from edge to edge of it."""

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]

MAX_SLOPE = 0.12
"""Of a rule, which the camera saw a little askew: its rise over the width of the picture."""

INKED_SHARE = 0.85
"""A rule is dark along so much of its way."""

THICKER = 1.8
"""Where the ink is so many times thicker than the rule, a stroke crosses it, and stays."""

EDGE_PX = 3

MAX_THICKNESS_SHARE = 0.03
"""Of the picture's height: what is thicker is no rule."""


def without_rules(mask: Mask) -> Mask:
    """The mask, bool [height, width], without the rules that go from side to side or from top to bottom."""
    cleaned = _without_rows(mask.copy())
    return _without_rows(cleaned.T).T


def _without_rows(mask: Mask) -> Mask:
    height, width = mask.shape
    if width <= 4 * EDGE_PX or height <= 4 * EDGE_PX:
        return mask
    columns = np.arange(width)
    for left in _middles(mask[:, EDGE_PX]):
        for right in _middles(mask[:, -1 - EDGE_PX]):
            if abs(right - left) > MAX_SLOPE * width:
                continue
            rows = np.rint(left + (right - left) * (columns - EDGE_PX) / (width - 1 - 2 * EDGE_PX)).astype(np.intp)
            rows = rows.clip(1, height - 2)
            inked = mask[rows, columns] | mask[rows - 1, columns] | mask[rows + 1, columns]
            if inked.mean() >= INKED_SHARE:
                _erase(mask, rows)
    return mask


def _middles(column: npt.NDArray[np.bool_]) -> list[float]:
    """The middles of the thin runs of ink in a column."""
    edges = np.flatnonzero(np.diff(np.pad(column, 1).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    thin = ends - starts <= max(2.0, MAX_THICKNESS_SHARE * len(column))
    middles: list[float] = ((starts + ends - 1) / 2)[thin].tolist()
    return middles


def _erase(mask: Mask, rows: npt.NDArray[np.intp]) -> None:
    """Erase the ink on the line, one row for each column, where it is about as thin as in most columns."""
    height, width = mask.shape
    columns, reach = np.arange(width), int(MAX_THICKNESS_SHARE * height) + 2
    above, below = (_extent(mask, rows, columns, step=step, reach=reach) for step in (-1, 1))
    thickness = above + below - 1
    on_line = mask[rows, columns]
    thin = on_line & (thickness <= THICKER * np.median(thickness[on_line])) if on_line.any() else on_line
    for column in np.flatnonzero(thin):
        mask[rows[column] - above[column] + 1 : rows[column] + below[column], column] = False


def _extent(
    mask: Mask, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], *, step: int, reach: int
) -> npt.NDArray[np.intp]:
    """How many pixels of ink follow each other from the line on, itself included, at most `reach`."""
    going = mask[rows, columns]
    extent = going.astype(np.intp)
    for distance in range(1, reach):
        at = rows + step * distance
        inside = (at >= 0) & (at < len(mask))
        going = going & inside & mask[at.clip(0, len(mask) - 1), columns]
        extent += going
    return extent
