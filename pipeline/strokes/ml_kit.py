"""The ink of Google's ML Kit (digital ink recognition) as JSON: strokes with ``points`` of ``x``, ``y`` and ``t``.

``{"strokes": [{"points": [{"x": 1, "y": 2, "t": 0}, …]}, …]}``, or the list of strokes alone.
"""

from typing import Any

from latexify.pipeline.config import MAX_POINTS
from latexify.pipeline.strokes.content import InkFile
from latexify.pipeline.strokes.point_lists import point_of
from latexify.pipeline.strokes.points import bad_points, strokes_of


def matches(value: Any) -> bool:
    """Whether a JSON value has this form, as far as its first stroke tells."""
    strokes = _strokes(value)
    return isinstance(strokes, list) and bool(strokes) and isinstance(strokes[0], dict) and "points" in strokes[0]


def read(value: Any, *, max_points: int = MAX_POINTS) -> InkFile:
    """Read the strokes. Raises UnusableInkError if one has no points."""
    strokes = [_stroke(stroke, number) for number, stroke in enumerate(_strokes(value))]
    return InkFile(strokes=strokes_of(strokes, max_points=max_points))


def _strokes(value: Any) -> Any:
    return value.get("strokes") if isinstance(value, dict) else value


def _stroke(stroke: Any, number: int) -> list[tuple[float, float]]:
    points = stroke.get("points") if isinstance(stroke, dict) else None
    if not isinstance(points, list):
        raise bad_points(f"stroke {number} has no list `points`")
    return [point_of(point, number) for point in points]
