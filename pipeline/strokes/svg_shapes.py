"""The shapes of SVG as lines of points."""

import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from fontTools.pens.basePen import BasePen
from fontTools.svgLib.path import parse_path

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.strokes.svg_transform import NUMBER, NUMBERS

Point: TypeAlias = tuple[float, float]
Line: TypeAlias = list[Point]

POINTS_OF_CURVE = 16  # points that a Bezier curve becomes
POINTS_OF_ELLIPSE = 64
_COMMANDS = re.compile(r"([MmZzLlHhVvCcSsQqTtAa])")
_SEPARATOR = re.compile(r"[\s,]+")
_LENGTH = re.compile(rf"\s*({NUMBER})\s*(?:px)?\s*")


def lines_of(element: Any, name: str, *, max_points: int) -> list[Line]:
    """Return the lines of a path, or of an element of `SHAPES`.

    Raises UnusableInkError if it cannot be read, or has more than `max_points`.
    """
    lines = _path(element, max_points) if name == "path" else [SHAPES[name](element)]
    if sum(map(len, lines)) > max_points:
        raise _too_large(max_points)
    return [line for line in lines if line]


def _too_large(max_points: int) -> UnusableInkError:
    return UnusableInkError(Reason.TOO_LARGE, f"more than {max_points} points")


def number_of(element: Any, name: str) -> float:
    """Return an attribute in user units, 0 if there is none. Raises UnusableInkError if it is no number."""
    found = _LENGTH.fullmatch(element.get(name, "0"))
    if found is None:
        raise _unreadable(element, f"{name}={element.get(name)[:40]!r}")
    return float(found[1])


def _unreadable(element: Any, what: str) -> UnusableInkError:
    name = element.tag.rpartition("}")[2]
    return UnusableInkError(Reason.BAD_POINTS, f"<{name}>: {what} cannot be read")


class _LinesPen(BasePen):  # type: ignore[misc]  # fontTools has no types
    """Collects the points of paths; BasePen breaks down what SVG allows into lines and cubic curves."""

    def __init__(self, max_points: int) -> None:
        super().__init__(glyphSet=None)
        self.lines: list[Line] = []
        self._max_points = max_points
        self._num_points = 0

    def _moveTo(self, pt: Point) -> None:  # noqa: N802  # fontTools calls it so
        self.lines.append([pt])

    def _lineTo(self, pt: Point) -> None:  # noqa: N802
        self.lines[-1].append(pt)

    def _curveToOne(self, pt1: Point, pt2: Point, pt3: Point) -> None:  # noqa: N802
        self._num_points += POINTS_OF_CURVE
        if self._num_points > self._max_points:
            raise _too_large(self._max_points)
        start = self.lines[-1][-1]
        for step in range(1, POINTS_OF_CURVE + 1):
            t = step / POINTS_OF_CURVE
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            x, y = (
                sum(weight * point[axis] for weight, point in zip(weights, (start, pt1, pt2, pt3), strict=True))
                for axis in (0, 1)
            )
            self.lines[-1].append((x, y))


def _path(element: Any, max_points: int) -> list[Line]:
    pen = _LinesPen(max_points)
    try:
        parse_path(_checked(element.get("d", "")), pen)
    except UnusableInkError:
        raise
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        raise _unreadable(element, f"d ({error})") from None
    return pen.lines


def _checked(path: str) -> str:
    """Return a path with all numbers as fontTools reads them: it would skip what it does not know.

    Raises ValueError if there is anything but commands and numbers.
    """
    pieces = _COMMANDS.split(path)
    if pieces[0].strip(" \t\r\n,"):
        raise ValueError("it does not begin with a command")
    checked = []
    for command, numbers in zip(pieces[1::2], pieces[2::2], strict=True):
        if not NUMBERS.fullmatch(numbers):
            raise ValueError(f"{command} is followed by {numbers.strip()[:40]!r}")
        # flags of arcs may stand without a space before the next number, so only fontTools can take those apart
        found = _SEPARATOR.split(numbers.strip()) if command in "Aa" else re.findall(NUMBER, numbers)
        checked += [command, *(found if command in "Aa" else (f"{float(number)!r}" for number in found))]
    return " ".join(checked)


def _points(element: Any) -> Line:
    text = element.get("points", "")
    numbers = re.findall(NUMBER, text)
    if not NUMBERS.fullmatch(text) or len(numbers) % 2:
        raise _unreadable(element, "points")
    values = list(map(float, numbers))
    return list(zip(values[::2], values[1::2], strict=True))


def _polygon(element: Any) -> Line:
    points = _points(element)
    return [*points, *points[:1]]


def _line(element: Any) -> Line:
    x1, y1, x2, y2 = (number_of(element, name) for name in ("x1", "y1", "x2", "y2"))
    return [(x1, y1), (x2, y2)]


def _rect(element: Any) -> Line:
    """Corners may be rounded; they are drawn sharp."""
    x, y, width, height = (number_of(element, name) for name in ("x", "y", "width", "height"))
    return [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]


def _ellipse(element: Any) -> Line:
    cx, cy = number_of(element, "cx"), number_of(element, "cy")
    rx, ry = (number_of(element, name if element.get("r") is None else "r") for name in ("rx", "ry"))
    turns = (2 * math.pi * step / POINTS_OF_ELLIPSE for step in range(POINTS_OF_ELLIPSE + 1))
    return [(cx + rx * math.cos(turn), cy + ry * math.sin(turn)) for turn in turns]


SHAPES: dict[str, Callable[[Any], Line]] = {
    "polyline": _points,
    "polygon": _polygon,
    "line": _line,
    "rect": _rect,
    "circle": _ellipse,
    "ellipse": _ellipse,
}
CLOSED = frozenset(["rect", "ellipse"])
"""Shapes that are a background or a blot where they are filled only, not the outline of a stroke."""
