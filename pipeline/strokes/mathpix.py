"""The strokes of Mathpix's API: lists of x and of y for each stroke.

``{"strokes": {"strokes": {"x": [[…], …], "y": [[…], …]}}}``, as a request holds them, or any inner part of it.
"""

from typing import Any

from latexify.pipeline.config import MAX_POINTS
from latexify.pipeline.strokes.content import InkFile
from latexify.pipeline.strokes.points import bad_points, from_columns, strokes_of


def matches(value: Any) -> bool:
    """Whether a JSON value has this form."""
    columns = _columns(value)
    return isinstance(columns, dict) and {"x", "y"} <= columns.keys()


def read(value: Any, *, max_points: int = MAX_POINTS) -> InkFile:
    """Read the strokes. Raises UnusableInkError if x and y do not have as many strokes and points."""
    columns = _columns(value)
    x, y = columns["x"], columns["y"]
    if not (isinstance(x, list) and isinstance(y, list)):
        raise bad_points("x and y are not lists with a list for each stroke")
    if len(x) != len(y):
        raise bad_points(f"x has {len(x)} strokes and y has {len(y)}")
    strokes = [from_columns(stroke, number) for number, stroke in enumerate(zip(x, y, strict=True))]
    return InkFile(strokes=strokes_of(strokes, max_points=max_points))


def _columns(value: Any) -> Any:
    for _ in range(2):
        if isinstance(value, dict) and isinstance(value.get("strokes"), dict):
            value = value["strokes"]
    return value
