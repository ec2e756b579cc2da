"""Strokes from the numbers of a file that was parsed already."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeGuard

import numpy as np

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason, Stroke


def bad_points(detail: str) -> UnusableInkError:
    """Return the error for numbers that are no points."""
    return UnusableInkError(Reason.BAD_POINTS, detail)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of JSON is a number; True and False are none."""
    return type(value) in {int, float}


def strokes_of(pointwise: Iterable[Sequence[tuple[float, float]]], *, max_points: int) -> list[Stroke]:
    """Return strokes of points (x, y), without empty ones. Numbers beyond float32 become infinite.

    Raises UnusableInkError if there are more points than `max_points`, or there is none.
    """
    strokes: list[Stroke] = []
    num_points = 0
    for points in pointwise:
        num_points += len(points)
        if num_points > max_points:
            raise UnusableInkError(Reason.TOO_LARGE, f"more than {max_points} points")
        if points:
            with np.errstate(over="ignore"):
                strokes.append(np.array(points, dtype=np.float32).reshape(-1, 2))
    if not strokes:
        raise UnusableInkError(Reason.NO_STROKES, "no stroke holds a point")
    return strokes


def require_finite(strokes: Sequence[Stroke]) -> None:
    """Raise UnusableInkError if a coordinate is not finite, since such an ink cannot be drawn."""
    for number, stroke in enumerate(strokes):
        if not np.isfinite(stroke).all():
            raise bad_points(f"stroke {number} has a coordinate that is not a finite number")


def from_columns(columns: Any, number: int) -> list[tuple[float, float]]:
    """Return the points of a stroke from two lists of numbers, those of x and those of y.

    Raises UnusableInkError, which names the stroke by its number, if they are not.
    """
    x, y = columns
    if not (isinstance(x, list) and isinstance(y, list) and all(map(is_number, [*x, *y]))):
        raise bad_points(f"stroke {number}: x and y are not lists of numbers")
    if len(x) != len(y):
        raise bad_points(f"stroke {number} has {len(x)} values of x and {len(y)} of y")
    return list(zip(map(float, x), map(float, y), strict=True))
