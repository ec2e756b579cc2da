"""Append whole paths to a cairo context; pycairo needs a call for each point, a sixth of the drawing time.

The fast way calls ``cairo_append_path`` through ctypes with the C pointer inside pycairo's context object. It is taken
if the symbol is exported and the object has the expected size. Otherwise, or with `LATEXIFY_PLAIN`, pycairo's own
methods are called. Both make the same path.
"""

import ctypes
from collections.abc import Callable
from importlib import import_module
from typing import Any

import cairo
import numpy as np
import numpy.typing as npt

from latexify.fast.switch import use_plain

# elements of a path, float64 [num_elements, 4]: each is two ``cairo_path_data_t``, a header and a point
PathData = npt.NDArray[np.float64]
Counts = npt.NDArray[np.integer]

_LENGTH = 2  # of a header and a point, in units of cairo_path_data_t
_MOVE_TO, _LINE_TO = np.array([[0, _LENGTH, 0, 0], [1, _LENGTH, 0, 0]], dtype=np.intc).view(np.float64)


def cairo_version() -> str:
    """Return the version of the cairo library (not of pycairo); other versions may draw slightly differently."""
    return str(cairo.cairo_version_string())


class _Path(ctypes.Structure):
    """``cairo_path_t``."""

    _fields_ = (("status", ctypes.c_int), ("data", ctypes.c_void_p), ("num_data", ctypes.c_int))


def path_data_of(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], starts: Counts, lengths: Counts) -> PathData:
    """Return the path elements of lines: for each a move to its first point, then a line to each of its points.

    The first line element goes to where the line begins. With round caps it draws the dot of a stroke of one point. `x`
    and `y` are [num_points], `starts` and `lengths` (at least 1) the first point and number of points of each line,
    which has ``lengths[i] + 1`` elements.
    """
    elements_before = np.cumsum(lengths + 1) - (lengths + 1)
    points = np.arange(lengths.sum() + len(lengths)) + np.repeat(starts - elements_before - 1, lengths + 1)
    points[elements_before] += 1
    elements = np.empty((len(points), 4))
    elements[:, :2] = _LINE_TO
    elements[elements_before, :2] = _MOVE_TO
    elements[:, 2], elements[:, 3] = x[points], y[points]
    return elements


def path_appender(context: "cairo.Context[Any]") -> "FastAppender | PlainAppender":
    """Return the fast appender where it works on this installation, unless `LATEXIFY_PLAIN` is set."""
    append_path = None if use_plain() else _find_append_path()
    return PlainAppender(context) if append_path is None else FastAppender(context, append_path)


def _find_append_path() -> Callable[..., None] | None:
    """Return ``cairo_append_path`` of the library that pycairo is linked with, or None if it cannot be called."""
    if cairo.Context.__basicsize__ != object.__basicsize__ + 2 * ctypes.sizeof(ctypes.c_void_p):
        return None  # not the PycairoContext of py3cairo.h: a cairo_t pointer and an object
    try:
        function = ctypes.PyDLL(import_module("cairo._cairo").__file__).cairo_append_path
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.POINTER(_Path))
    function.restype = None
    return function


class FastAppender:
    """Appends rows of :func:`path_data_of` to the path of a context with one C call."""

    def __init__(self, context: "cairo.Context[Any]", append_path: Callable[..., None]) -> None:
        self._context = context  # keeps the pointer valid
        # as PycairoContext_GET of py3cairo.h reads it
        self._pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
        self._append_path = append_path
        self._path = _Path(status=cairo.Status.SUCCESS)

    def append(self, elements: PathData) -> None:
        """Append contiguous rows."""
        self._path.data, self._path.num_data = elements.ctypes.data, _LENGTH * len(elements)
        self._append_path(self._pointer, self._path)


class PlainAppender:
    """Appends rows of :func:`path_data_of` to the path of a context with a pycairo call for each."""

    def __init__(self, context: "cairo.Context[Any]") -> None:
        self._context = context

    def append(self, elements: PathData) -> None:
        """Append contiguous rows."""
        calls = (self._context.move_to, self._context.line_to)
        kinds = elements.view(np.intc)[:, 0].tolist()
        for kind, x, y in zip(kinds, elements[:, 2].tolist(), elements[:, 3].tolist(), strict=True):
            calls[kind](x, y)
