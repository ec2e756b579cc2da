"""Paths for cairo, all points of many inks at once: pycairo takes a call for each, a sixth of the time of drawing."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import cairo
import numpy as np
import numpy.typing as npt

Steps = npt.NDArray[np.float64]
"""float64 [num_steps, 4]: moves and lines of a path, each of them two ``cairo_path_data_t``, a header and a point."""

Counts = npt.NDArray[np.integer]

MAX_PATH_POINTS = 1024
"""Few expressions have more points once thinned."""

_LENGTH = 2  # of a header and a point, in cairo's words
_MOVE_TO, _LINE_TO = np.array([[0, _LENGTH, 0, 0], [1, _LENGTH, 0, 0]], dtype=np.intc).view(np.float64)


class _Path(ctypes.Structure):
    """``cairo_path_t``."""

    _fields_ = (("status", ctypes.c_int), ("data", ctypes.c_void_p), ("num_data", ctypes.c_int))


# looked up through pycairo's own extension, so that it is of the library which that is linked with
_append_path = ctypes.PyDLL(import_module("cairo._cairo").__file__).cairo_append_path
_append_path.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Path))
_append_path.restype = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The lines to draw, those of an ink one behind the other.

    starts, lengths: [num_lines], of each its first point and their number. paths: of each ink, how many steps
    each path takes that cairo paints at once.
    """

    starts: Counts
    lengths: Counts
    paths: list[list[int]]


def gather_strokes(stroke_lengths: Counts, num_strokes: Counts) -> Lines:
    """Gather strokes into paths.

    One path for an ink is best, as ink is not laid twice where its strokes cross; but cairo's time grows with the
    square of a path's length, so a scribble is painted in several.
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
    """Paths of about `MAX_PATH_POINTS` of one ink, as lines; a stroke that is longer goes on in the next.

    strokes: the first point of each, and their number.
    """
    path: list[tuple[int, int]] = []
    num_points = 0
    for first, length in strokes:
        start, end = first, first + length
        while start < end:
            stop = min(end, start + MAX_PATH_POINTS)
            path.append((start, stop - start))
            num_points += stop - start
            # the next line of the same stroke begins where this one ended
            start = stop if stop == end else stop - 1
            if num_points >= MAX_PATH_POINTS:
                yield path
                path, num_points = [], 0
    if path:
        yield path


def steps_of(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], starts: Counts, lengths: Counts) -> Steps:
    """For each line a move to its first point, and a line to every point of it, the first included.

    With round caps, the line to where it begins is the dot of a stroke of one point.

    x, y: float64 [num_points]. starts, lengths: [num_lines], of each its first point and their number, at least 1.
    Line i takes ``lengths[i] + 1`` steps, behind those of the lines before.
    """
    steps_before = np.cumsum(lengths + 1) - (lengths + 1)
    taken = np.arange(lengths.sum() + len(lengths)) + np.repeat(starts - steps_before - 1, lengths + 1)
    taken[steps_before] += 1
    steps = np.empty((len(taken), 4))
    steps[:, :2] = _LINE_TO
    steps[steps_before, :2] = _MOVE_TO
    steps[:, 2], steps[:, 3] = x[taken], y[taken]
    return steps


class PathAppender:
    """Appends to the path of a context what pycairo's `append_path` takes only from a path of its own making."""

    def __init__(self, context: "cairo.Context[Any]") -> None:
        self._context = context  # the pointer is good as long as this is
        # as PycairoContext_GET of py3cairo.h reads it
        self._pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
        self._path = _Path(status=cairo.Status.SUCCESS)

    def append(self, steps: Steps) -> None:
        """Append rows of :func:`steps_of` that stand one behind the other."""
        self._path.data, self._path.num_data = steps.ctypes.data, _LENGTH * len(steps)
        _append_path(self._pointer, self._path)
