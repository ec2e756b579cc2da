"""Gather the strokes of many inks into the paths that cairo strokes at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.integer]

MAX_PATH_POINTS = 1024
"""Few expressions have more points once they are simplified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The lines to draw, ink after ink.

    Attributes:
        starts: Index of the first point of each line, [num_lines].
        lengths: Number of points of each line, [num_lines].
        paths: For each ink, the number of path elements of each path that cairo strokes at once.
    """

    starts: Counts
    lengths: Counts
    paths: list[list[int]]


def gather_strokes(stroke_lengths: Counts, num_strokes: Counts) -> Lines:
    """Gather strokes into paths.

    One path for an ink is best, because cairo then draws crossings only once. But its time grows with the square of a
    path's length, so a scribble is drawn as several paths.

    Args:
        stroke_lengths: Points of each stroke, [num_strokes], at least 1.
        num_strokes: Strokes of each ink, [num_inks], at least 1.
    """
    starts = np.cumsum(stroke_lengths) - stroke_lengths
    first_strokes = np.cumsum(num_strokes) - num_strokes
    num_points = np.add.reduceat(stroke_lengths, first_strokes)
    if num_points.max() <= MAX_PATH_POINTS:
        return Lines(starts=starts, lengths=stroke_lengths, paths=(num_points + num_strokes)[:, np.newaxis].tolist())
    inks = np.split(np.column_stack([starts, stroke_lengths]), first_strokes[1:])
    paths = [list(_short_paths(strokes.tolist())) for strokes in inks]
    lines = np.array([line for ink in paths for path in ink for line in path])
    return Lines(
        starts=lines[:, 0],
        lengths=lines[:, 1],
        paths=[[sum(length + 1 for _, length in path) for path in ink] for ink in paths],
    )


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
