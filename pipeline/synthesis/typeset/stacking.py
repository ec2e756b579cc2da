"""Stacks lines of writing: aligned, centred or from the left, each a little askew, as people do without rules."""

from collections.abc import Sequence
from typing import Protocol

from latexify.pipeline.synthesis.typeset.boxes import Box, overlay

LEAST_ASCENT, LEAST_DESCENT = 0.7, 0.1
"""Of a line, in capital heights: a line of minus signs takes as much room as others."""
MOST_CENTRED = 0.5


class LineMeasures(Protocol):
    """The part of a `layout.Hand` that stacking needs; each measure may be drawn anew by chance."""

    def __getitem__(self, name: str) -> float:
        """Measure a length in capital heights of the line."""

    def gap(self, name: str, size: float) -> float:
        """Measure the space between neighbours in a row."""


def stack(grid: Sequence[Sequence[Box | None]], environment: str, hand: LineMeasures, size: float) -> Box:
    """Stack lines of cells, centred on the axis of the line around them. None is a cell without content.

    In `aligned`, the first cell ends and the second begins at one x; in `cases` all columns begin at one x each;
    `gathered` lines begin anywhere between flush left and centred, as the hand has it (`line_anchor`).
    """
    lines = [_sloped(line, hand["line_slope"]) for line in _lined_up(grid, environment, hand, size)]
    parts: list[tuple[Box, float, float]] = []
    y = 0.0
    for number, line in enumerate(lines):
        if number:
            y += max(0.15, hand["line_gap"]) * size
        y += max(LEAST_ASCENT * size, line.ascent)
        parts.append((line, 0.0, y))
        y += max(LEAST_DESCENT * size, line.descent)
    box = overlay(*parts)
    rise = y / 2 + hand["axis"] * size
    left = min(placed.x for placed in box.glyphs)
    return Box(box.width - left, rise, y - rise, box.moved(-left, -rise))


def _lined_up(grid: Sequence[Sequence[Box | None]], environment: str, hand: LineMeasures, size: float) -> list[Box]:
    """Return each line as a box on its baseline, at the x where it belongs."""
    num_columns = max(map(len, grid))
    columns = [[cells[column] if column < len(cells) else None for cells in grid] for column in range(num_columns)]
    widths = [max((box.width for box in column if box is not None), default=0.0) for column in columns]
    anchor = min(MOST_CENTRED, max(0.0, hand["line_anchor"])) if environment == "gathered" else 0.0
    gap = hand.gap("relation_gap", size) if environment == "aligned" else 1.5 * hand["cell_gap"] * size
    lines: list[Box] = []
    for row in zip(*columns, strict=True):
        indent = hand["line_indent"] * size * (1.0 if environment == "gathered" else 0.4)
        parts: list[tuple[Box, float, float]] = []
        x = indent
        for number, (box, width) in enumerate(zip(row, widths, strict=True)):
            if box is not None:
                is_right = environment == "aligned" and number % 2 == 0
                parts.append((box, x + (width - box.width) * (1.0 if is_right else anchor), 0.0))
            x += width + gap
        lines.append(overlay(*parts))
    return lines


def _sloped(line: Box, slope: float) -> Box:
    """Let a line rise or fall. slope: y per x."""
    glyphs = tuple(placed._replace(y=placed.y + slope * placed.x) for placed in line.glyphs)
    reach = slope * line.width
    return Box(line.width, line.ascent - min(0.0, reach), line.descent + max(0.0, reach), glyphs)
