"""Strokes as lists of points: ``[[[x, y], …], …]``, with time ``[x, y, t]``, or points as objects ``{"x": …, "y": …}``.

The list may be the whole value, or stand under ``strokes`` in an object. What a point has behind x and y (time,
pressure) is ignored.
"""

from typing import Any

from latexify.pipeline.config import MAX_POINTS
from latexify.pipeline.strokes.content import InkFile
from latexify.pipeline.strokes.points import bad_points, is_number, strokes_of


def matches(value: Any) -> bool:
    """Whether a JSON value has this form, as far as its first points tell."""
    if isinstance(value, dict):
        return isinstance(value.get("strokes"), list)
    return isinstance(value, list) and (not value or isinstance(value[0], list))


def read(value: Any, *, max_points: int = MAX_POINTS) -> InkFile:
    """Read the strokes. Raises UnusableInkError if one is not a list of points."""
    strokes = [_stroke(stroke, number) for number, stroke in enumerate(_list_of(value))]
    return InkFile(strokes=strokes_of(strokes, max_points=max_points))


def _list_of(value: Any) -> Any:
    return value.get("strokes") if isinstance(value, dict) else value


def _stroke(stroke: Any, number: int) -> list[tuple[float, float]]:
    if not isinstance(stroke, list):
        raise bad_points(f"stroke {number} is not a list of points [x, y] of two numbers")
    return [point_of(point, number) for point in stroke]


def point_of(point: Any, number: int) -> tuple[float, float]:
    """Return x and y of one point of stroke `number`. Raises UnusableInkError if it has no two numbers."""
    if isinstance(point, dict):
        x, y = point.get("x"), point.get("y")
    elif isinstance(point, list) and len(point) >= 2:
        x, y = point[:2]
        if not all(value is None or is_number(value) for value in point[2:]):
            raise bad_points(f"stroke {number} is not a list of points [x, y] of two numbers")
    else:
        raise bad_points(f"stroke {number} is not a list of points [x, y] of two numbers")
    if not (is_number(x) and is_number(y)):
        raise bad_points(f"stroke {number} is not a list of points [x, y] of two numbers")
    return float(x), float(y)
