"""Charts for the report as inline SVG: crisp at any size, coloured by the page's style sheet.

Classes that the page styles: `grid`, `axis`, `line line-0`, `dot dot-0`, `bar`, `reference`, and text `tick`, `name`.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 640.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 84.0, 18.0, 46.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: its name and its points, by rising x."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: the text below it, its height, and what a pointer resting on it is told."""

    label: str
    value: float
    note: str


def line_chart(series: Sequence[Series], *, title: str, x_name: str, percent: bool) -> str:
    """Lines over a common x axis, each named at its end. Series without points are left out."""
    drawn = [one for one in series if len(one.x)]
    xs = [x for one in drawn for x in one.x]
    x_ticks = [x for x in MaxNLocator(6, integer=True).tick_values(min(xs), max(xs)) if min(xs) <= x <= max(xs)]
    root, y_of = _frame(title, top_value=max(y for one in drawn for y in one.y), percent=percent)
    low, span = min(xs), max(max(xs) - min(xs), 1e-9)

    def x_of(x: float) -> float:
        return LEFT + (x - low) / span * (WIDTH - LEFT - RIGHT)

    for tick in x_ticks:
        _text(root, f"{tick:,.0f}", x_of(tick), HEIGHT - BOTTOM + 18, "tick", anchor="middle")
    _text(root, x_name, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "name", anchor="middle")
    ends = _apart([y_of(one.y[-1]) for one in drawn])
    for number, (one, end) in enumerate(zip(drawn, ends, strict=True)):
        points = [(x_of(x), y_of(y)) for x, y in zip(one.x, one.y, strict=True)]
        ET.SubElement(
            root,
            "polyline",
            {"class": f"line line-{number}", "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in points)},
        )
        ET.SubElement(
            root,
            "circle",
            {"class": f"dot dot-{number}", "cx": f"{points[-1][0]:.1f}", "cy": f"{points[-1][1]:.1f}", "r": "3.5"},
        )
        _text(root, one.name, points[-1][0] + 9, end + 4, f"name name-{number}", anchor="start")
    return ET.tostring(root, encoding="unicode")


def bar_chart(bars: Sequence[Bar], *, title: str, x_name: str, percent: bool, reference: float | None = None) -> str:
    """Bars side by side, each with its value above it; `reference` draws a dashed line at a value to compare with."""
    highest = max([bar.value for bar in bars] + ([reference] if reference is not None else []))
    root, y_of = _frame(title, top_value=highest, percent=percent)
    step = (WIDTH - LEFT - RIGHT) / len(bars)
    for number, bar in enumerate(bars):
        x, y = LEFT + step * (number + 0.14), y_of(bar.value)
        rectangle = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{step * 0.72:.1f}", "height": f"{y_of(0) - y:.1f}"}
        element = ET.SubElement(root, "rect", {"class": "bar", "rx": "2", **rectangle})
        ET.SubElement(element, "title").text = bar.note
        middle = x + step * 0.36
        _text(root, _spell(bar.value, percent=percent), middle, y - 5, "value", anchor="middle")
        _text(root, bar.label, middle, HEIGHT - BOTTOM + 18, "tick", anchor="middle")
    if reference is not None:
        place = {
            "x1": f"{LEFT}",
            "x2": f"{WIDTH - RIGHT}",
            "y1": f"{y_of(reference):.1f}",
            "y2": f"{y_of(reference):.1f}",
        }
        ET.SubElement(root, "line", {"class": "reference", **place})
        _text(root, "all", WIDTH - RIGHT + 6, y_of(reference) + 4, "name", anchor="start")
    _text(root, x_name, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "name", anchor="middle")
    return ET.tostring(root, encoding="unicode")


def _frame(title: str, *, top_value: float, percent: bool) -> tuple[ET.Element, "_Scale"]:
    """An empty chart with its grid from zero to just above `top_value`, and the vertical scale."""
    ticks = MaxNLocator(5).tick_values(0, max(top_value, 1e-9))
    scale = _Scale(top=float(ticks[-1]))
    root = ET.Element("svg", {"viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}", "role": "img", "aria-label": title})
    for tick in ticks:
        y = f"{scale(tick):.1f}"
        kind = "axis" if tick == 0 else "grid"
        ET.SubElement(root, "line", {"class": kind, "x1": f"{LEFT}", "x2": f"{WIDTH - RIGHT}", "y1": y, "y2": y})
        _text(root, _spell(tick, percent=percent), LEFT - 8, scale(tick) + 4, "tick", anchor="end")
    return root, scale


@dataclass(frozen=True, slots=True)
class _Scale:
    """Height of a value on the canvas; values beyond the top are drawn at it."""

    top: float

    def __call__(self, value: float) -> float:
        return HEIGHT - BOTTOM - min(value / self.top, 1.0) * (HEIGHT - BOTTOM - TOP)


def _text(  # noqa: PLR0913  # where and what
    parent: ET.Element, text: str, x: float, y: float, kind: str, *, anchor: str
) -> None:
    place = {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    ET.SubElement(parent, "text", place).text = text


def _spell(value: float, *, percent: bool) -> str:
    if percent:
        return f"{100 * value:.1f}".removesuffix(".0") + " %"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _apart(heights: Sequence[float], *, distance: float = 15.0) -> list[float]:
    """Heights for the names at the ends of lines, moved down where they would overlap."""
    placed: list[float] = [0.0] * len(heights)
    lowest = float("-inf")
    for index in sorted(range(len(heights)), key=lambda index: heights[index]):
        placed[index] = max(heights[index], lowest + distance)
        lowest = placed[index]
    return placed
