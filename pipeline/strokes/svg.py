"""SVG drawings: stroked paths, lines and shapes are strokes; filled outlines are refused, because they have no course.

Read is what drawing programs and signature pads write: transforms, groups, `style` attributes and style sheets of
simple selectors. Curves become points. Texts, images and references are left out, and counted.
"""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from fontTools.misc.transform import Identity, Transform

from latexify.pipeline.config import MAX_FILE_BYTES, MAX_POINTS
from latexify.pipeline.inkml.root import SNIFFED_BYTES
from latexify.pipeline.inkml.xml import UnusableInkError, parse_xml
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.strokes.content import InkFile
from latexify.pipeline.strokes.points import require_finite, strokes_of
from latexify.pipeline.strokes.svg_shapes import CLOSED, SHAPES, Line, lines_of, number_of
from latexify.pipeline.strokes.svg_style import Style, StyleSheet
from latexify.pipeline.strokes.svg_transform import transform_of

GROUPS = frozenset(["svg", "g", "a", "switch"])
SILENT = frozenset(["defs", "style", "title", "desc", "metadata", "clipPath", "mask", "marker", "pattern", "symbol"])
"""Elements that show nothing where they stand."""
_DOCTYPE = re.compile(rb"<!DOCTYPE\s+svg\b[^>\[]*>")  # names a DTD on the web, which is not needed
DOT_SHARE = 0.1
"""A filled circle of at most this share of the drawing's larger side is a dot of the pen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What an element inherits."""

    transform: Transform
    style: Style


def read_svg(data: bytes, *, max_file_bytes: int = MAX_FILE_BYTES, max_points: int = MAX_POINTS) -> InkFile:
    """Read an SVG file.

    Raises UnusableInkError if it is damaged or too large, has a filled outline (FILLED_OUTLINE), or no stroke.
    """
    if len(data) > max_file_bytes:
        raise UnusableInkError(Reason.TOO_LARGE, f"{len(data)} bytes, at most {max_file_bytes} are allowed")
    root = parse_xml(_DOCTYPE.sub(b"", data[:SNIFFED_BYTES], count=1) + data[SNIFFED_BYTES:])
    drawing = _Drawing(sheet=StyleSheet.of(root), max_points=max_points)
    drawing.add(root, _Place(transform=Identity, style=Style()))
    lines = drawing.lines_and_dots()
    if not lines:
        others = ", ".join(f"{count} {kind}" for kind, count in sorted(drawing.left_out.items())) or "nothing"
        raise UnusableInkError(Reason.NO_STROKES, f"no stroked path or line (the drawing has {others})")
    strokes = strokes_of(lines, max_points=max_points)
    require_finite(strokes)
    return InkFile(strokes=strokes, left_out=dict(drawing.left_out))


class _Drawing:
    """Collects the lines of a drawing."""

    def __init__(self, *, sheet: StyleSheet, max_points: int) -> None:
        self._sheet = sheet
        self._room = max_points  # points that may still come
        self._lines: list[Line] = []
        self._circles: dict[int, tuple[Line, float]] = {}  # filled ones by the number of lines before: centre, diameter
        self.left_out: Counter[str] = Counter()

    def add(self, element: Any, place: _Place) -> None:
        """Add an element and what is in it."""
        name = _name(element)
        if name in SILENT or not name:
            return
        place = _Place(
            transform=place.transform.transform(transform_of(element.get("transform", ""))),
            style=self._sheet.style_of(element, name, inherited=place.style),
        )
        if place.style.is_hidden:
            self.left_out[f"hidden {name}"] += 1
        elif name in GROUPS:
            for child in element.iterchildren("*"):
                self.add(child, place)
        elif name == "path" or name in SHAPES:
            self._add_shape(element, name, place)
        else:
            self.left_out[name] += 1

    def _add_shape(self, element: Any, name: str, place: _Place) -> None:
        if place.style.has_stroke:
            lines = lines_of(element, name, max_points=self._room)
            self._room -= sum(map(len, lines))
            self._lines += [_moved(line, place.transform) for line in lines]
        elif name == "circle" and place.style.has_fill:
            radius = number_of(element, "r")
            centre = [(number_of(element, "cx"), number_of(element, "cy"))]
            scale = abs(place.transform[0] * place.transform[3] - place.transform[1] * place.transform[2]) ** 0.5
            self._circles[len(self._lines) + len(self._circles)] = _moved(centre, place.transform), 2 * radius * scale
        elif place.style.has_fill and name not in CLOSED:
            raise UnusableInkError(
                Reason.FILLED_OUTLINE,
                f"a <{name}> is a filled outline, not a stroke: export strokes (fill none), or use a picture of it",
            )
        else:
            self.left_out[f"filled {name}" if place.style.has_fill else f"invisible {name}"] += 1

    def lines_and_dots(self) -> list[Line]:
        """Return all lines in the order of the file, small filled circles among them as dots."""
        points = [point for line in [*self._lines, *(centre for centre, _ in self._circles.values())] for point in line]
        if not points:
            return []
        xs, ys = zip(*points, strict=True)
        largest = DOT_SHARE * max(max(xs) - min(xs), max(ys) - min(ys))
        lines: list[Line] = []
        remaining = iter(self._lines)
        for position in range(len(self._lines) + len(self._circles)):
            if position not in self._circles:
                lines.append(next(remaining))
                continue
            centre, diameter = self._circles[position]
            if diameter <= largest or len(self._lines) + len(self._circles) == 1:
                lines.append(centre)
            else:
                self.left_out["filled circle"] += 1
        return lines


def _moved(line: Line, transform: Transform) -> Line:
    return [transform.transformPoint(point) for point in line]


def _name(element: Any) -> str:
    """Return the name of an element without its namespace; empty for entities and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
