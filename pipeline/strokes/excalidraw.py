"""Excalidraw files: the freehand lines (``freedraw``); other elements are left out, and counted.

https://docs.excalidraw.com/docs/codebase/json-schema: ``points`` of an element are relative to its ``x`` and ``y``, and
``angle`` (radians, clockwise on the screen) turns it around its middle.
"""

import math
from collections import Counter
from typing import Any

from latexify.pipeline.config import MAX_POINTS
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.strokes.content import InkFile
from latexify.pipeline.strokes.point_lists import point_of
from latexify.pipeline.strokes.points import bad_points, is_number, strokes_of

KINDS = ("excalidraw", "excalidraw/clipboard")
STROKE = "freedraw"


def matches(value: Any) -> bool:
    """Whether a JSON value is an Excalidraw file."""
    return isinstance(value, dict) and value.get("type") in KINDS


def read(value: Any, *, max_points: int = MAX_POINTS) -> InkFile:
    """Read the freehand lines. Raises UnusableInkError if there is none, or one is damaged."""
    elements = value.get("elements")
    if not (isinstance(elements, list) and all(isinstance(element, dict) for element in elements)):
        raise bad_points("the file has no list of elements")
    present = [element for element in elements if not element.get("isDeleted")]
    left_out = Counter(str(element.get("type")) for element in present if element.get("type") != STROKE)
    drawn = [element for element in present if element.get("type") == STROKE]
    if not drawn:
        others = ", ".join(f"{count} {kind}" for kind, count in sorted(left_out.items())) or "nothing"
        raise UnusableInkError(Reason.NO_STROKES, f"no {STROKE} element (the file has {others})")
    strokes = strokes_of((_points(element, number) for number, element in enumerate(drawn)), max_points=max_points)
    return InkFile(strokes=strokes, left_out=dict(left_out))


def _points(element: dict[str, Any], number: int) -> list[tuple[float, float]]:
    points, x, y, angle = element.get("points"), element.get("x"), element.get("y"), element.get("angle", 0)
    if not (isinstance(points, list) and is_number(x) and is_number(y) and is_number(angle)):
        raise bad_points(f"{STROKE} element {number} lacks x, y or points")
    placed = [(x + dx, y + dy) for dx, dy in (point_of(point, number) for point in points)]
    return _turned(placed, angle) if angle and placed else placed


def _turned(points: list[tuple[float, float]], angle: float) -> list[tuple[float, float]]:
    """Turn points around the middle of their box; y runs downward."""
    xs, ys = zip(*points, strict=True)
    middle_x, middle_y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    cos, sin = math.cos(angle), math.sin(angle)
    return [
        (
            middle_x + cos * (x - middle_x) - sin * (y - middle_y),
            middle_y + sin * (x - middle_x) + cos * (y - middle_y),
        )
        for x, y in points
    ]
