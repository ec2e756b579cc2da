"""Charts of the report as inline SVG, coloured by the page's style sheet.

The page styles these classes: `grid`, `axis`, `line line-0`, `dot dot-0`, `bar`, `whisker`, `reference`, `ideal`, and
for text `tick`, `name`, `value`. Charts are narrow so that their text stays readable on a phone.
"""

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 400.0, 235.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 66.0, 14.0, 42.0
NAME_BEHIND = 0.8  # confidence from which a series' name stands behind its last dot, and else before it
ROW_HEIGHT, LABELS_WIDTH, VALUES_WIDTH = 23.0, 158.0, 46.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: its name and its points in ascending x."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its label, its length, the text of its tooltip, and the ends of its interval."""

    label: str
    value: float
    note: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """Predictions of similar confidence: x their mean confidence, y the share that is right, with its interval."""

    x: float
    y: float
    low: float
    high: float
    share: float  # of all predictions, 0 to 1
    note: str  # text of the tooltip


def _ticks(low: float, high: float, *, most: int, integer: bool = False) -> list[float]:
    """Return round values from just below `low` to just above `high`, with at most `most` steps between them."""
    least = max((high - low) / most, 1e-12)
    power = 10.0 ** math.floor(math.log10(least))
    steps = [power * factor for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 20)]
    step = next(
        step
        for step in steps
        if math.ceil(high / step - 1e-9) - math.floor(low / step + 1e-9) <= most or step == steps[-1]
    )
    if integer:
        step = max(1.0, math.ceil(step))
    first, last = math.floor(low / step + 1e-9), max(math.ceil(high / step - 1e-9), math.floor(low / step + 1e-9) + 1)
    return [index * step for index in range(first, last + 1)]


def line_chart(series: Sequence[Series], *, title: str, x_name: str, percent: bool) -> str:
    """Draw lines over a common x axis, each labelled at its end. Series without points are left out."""
    drawn = [one for one in series if len(one.x)]
    xs = [x for line in drawn for x in line.x]
    x_ticks = [x for x in _ticks(min(xs), max(xs), most=5, integer=True) if min(xs) <= x <= max(xs)]
    root, y_of = _frame(title, top_value=max(y for line in drawn for y in line.y), percent=percent)
    low, span = min(xs), max(max(xs) - min(xs), 1e-9)

    def x_of(x: float) -> float:
        return LEFT + (x - low) / span * (WIDTH - LEFT - RIGHT)

    for tick in x_ticks:
        _text(root, f"{tick:,.0f}", x_of(tick), HEIGHT - BOTTOM + 18, "tick")
    _text(root, x_name, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "name")
    ends = _apart([y_of(one.y[-1]) for one in drawn])
    for number, (one, end) in enumerate(zip(drawn, ends, strict=True)):
        points = [(x_of(x), y_of(y)) for x, y in zip(one.x, one.y, strict=True)]
        _add(root, "polyline", f"line line-{number}", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))
        _add(root, "circle", f"dot dot-{number}", cx=points[-1][0], cy=points[-1][1], r=3.5)
        _text(root, one.name, points[-1][0] + 8, end + 4, f"name name-{number}", anchor="start")
    return ET.tostring(root, encoding="unicode")


def column_chart(bars: Sequence[Bar], *, title: str, x_name: str) -> str:
    """Draw shares as columns, each with its value above it."""
    root, y_of = _frame(title, top_value=max(bar.value for bar in bars), percent=True)
    step = (WIDTH - LEFT - 8) / len(bars)
    for number, bar in enumerate(bars):
        x, y = LEFT + step * (number + 0.12), y_of(bar.value)
        _add(root, "rect", "bar", note=bar.note, rx="2", x=x, y=y, width=step * 0.76, height=y_of(0) - y)
        middle = x + step * 0.38
        _text(root, f"{100 * bar.value:.0f}", middle, y - 5, "value")
        _text(root, bar.label, middle, HEIGHT - BOTTOM + 18, "tick")
    _text(root, x_name, (LEFT + WIDTH) / 2, HEIGHT - 6, "name")
    return ET.tostring(root, encoding="unicode")


def interval_chart(bars: Sequence[Bar], *, title: str, reference: float) -> str:
    """Draw rates as rows, each with its interval as a whisker; a dashed line marks the rate of all samples.

    The scale ends just above the largest rate, and longer whiskers are cut there.
    """
    ticks = _ticks(0, max([bar.value for bar in bars] + [reference, 1e-9]), most=4)
    top, bottom = float(ticks[-1]), 18 + ROW_HEIGHT * len(bars)
    right = WIDTH - VALUES_WIDTH
    root = _canvas(title, height=bottom + 24)

    def x_of(value: float) -> float:
        return LABELS_WIDTH + min(value / top, 1.0) * (right - LABELS_WIDTH)

    for tick in ticks:
        _line(root, "axis" if tick == 0 else "grid", (x_of(tick), 12), (x_of(tick), bottom))
        _text(root, _format(tick, percent=True), x_of(tick), bottom + 17, "tick")
    for number, bar in enumerate(bars):
        middle = 18 + ROW_HEIGHT * (number + 0.5)
        width = x_of(bar.value) - LABELS_WIDTH
        _add(root, "rect", "bar", note=bar.note, width=width, x=LABELS_WIDTH, y=middle - 7, height="14", rx="2")
        if bar.low is not None and bar.high is not None:
            _line(root, "whisker", (x_of(bar.low), middle), (x_of(bar.high), middle))
        _text(root, bar.label, LABELS_WIDTH - 8, middle + 4.5, "tick", anchor="end")
        _text(root, _format(bar.value, percent=True), WIDTH, middle + 4.5, "value", anchor="end")
    _line(root, "reference", (x_of(reference), 12), (x_of(reference), bottom))
    _text(root, "all", x_of(reference), 9, "name")
    return ET.tostring(root, encoding="unicode")


def reliability_chart(series: Mapping[str, Sequence[Dot]], *, title: str) -> str:
    """Draw the share of right predictions over confidence, both from 0 to 1; a dashed line marks where they agree.

    Each named series has at least one dot, in ascending confidence. Larger dots stand for more predictions. Whiskers
    are the intervals of the first series.
    """
    root, y_of = _frame(title, top_value=1.0, percent=True)

    def x_of(x: float) -> float:
        return LEFT + x * (WIDTH - LEFT - RIGHT)

    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        _text(root, _format(tick, percent=True), x_of(tick), HEIGHT - BOTTOM + 18, "tick")
    _text(root, "confidence of the model", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "name")
    _line(root, "ideal", (x_of(0), y_of(0)), (x_of(1), y_of(1)))
    for point in next(iter(series.values())):
        _line(root, "whisker", (x_of(point.x), y_of(point.low)), (x_of(point.x), y_of(point.high)))
    ends = _apart([y_of(points[-1].y) for points in series.values()])
    for number, ((name, points), end) in enumerate(zip(series.items(), ends, strict=True)):
        line = " ".join(f"{x_of(point.x):.1f},{y_of(point.y):.1f}" for point in points)
        _add(root, "polyline", f"line line-{number}", points=line)
        for point in points:
            radius = 2.5 + 5 * point.share**0.5
            _add(root, "circle", f"dot dot-{number}", note=point.note, cx=x_of(point.x), cy=y_of(point.y), r=radius)
        # behind its last dot, where there is room up to the margin
        beside, anchor = (10, "start") if points[-1].x >= NAME_BEHIND else (-10, "end")
        _text(root, name, x_of(points[-1].x) + beside, end + 4, f"name name-{number}", anchor=anchor)
    return ET.tostring(root, encoding="unicode")


def _canvas(title: str, *, height: float) -> ET.Element:
    return ET.Element("svg", {"viewBox": f"0 0 {WIDTH:g} {height:g}", "role": "img", "aria-label": title})


def _frame(title: str, *, top_value: float, percent: bool) -> tuple[ET.Element, Callable[[float], float]]:
    """An empty chart with a grid from zero to just above `top_value`, and its vertical scale."""
    ticks = _ticks(0, max(top_value, 1e-9), most=5)
    root = _canvas(title, height=HEIGHT)

    def y_of(value: float) -> float:
        """Values above the top are drawn at the top."""
        return HEIGHT - BOTTOM - min(value / ticks[-1], 1.0) * (HEIGHT - BOTTOM - TOP)

    for tick in ticks:
        y = y_of(tick)
        _line(root, "axis" if tick == 0 else "grid", (LEFT, y), (WIDTH - 8, y))
        _text(root, _format(tick, percent=percent), LEFT - 8, y + 4, "tick", anchor="end")
    return root, y_of


def _add(parent: ET.Element, tag: str, kind: str, *, note: str | None = None, **attributes: str | float) -> None:
    """Add an element with numbers rounded to tenths; `note` is its tooltip."""
    rounded = {name: value if isinstance(value, str) else f"{value:.1f}" for name, value in attributes.items()}
    element = ET.SubElement(parent, tag, {"class": kind, **rounded})
    if note is not None:
        ET.SubElement(element, "title").text = note


def _line(parent: ET.Element, kind: str, start: tuple[float, float], end: tuple[float, float]) -> None:
    _add(parent, "line", kind, x1=start[0], y1=start[1], x2=end[0], y2=end[1])


def _text(  # noqa: PLR0913  # position and text
    parent: ET.Element, text: str, x: float, y: float, kind: str, *, anchor: str = "middle"
) -> None:
    attributes = {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}", "text-anchor": anchor}
    ET.SubElement(parent, "text", attributes).text = text


def _format(value: float, *, percent: bool) -> str:
    if percent:
        return f"{100 * value:.1f}".removesuffix(".0") + " %"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _apart(heights: Sequence[float], *, distance: float = 15.0) -> list[float]:
    """Heights of the labels at the ends of lines, moved down if they would overlap."""
    moved: list[float] = [0.0] * len(heights)
    lowest = float("-inf")
    for index in sorted(range(len(heights)), key=lambda index: heights[index]):
        moved[index] = max(heights[index], lowest + distance)
        lowest = moved[index]
    return moved
