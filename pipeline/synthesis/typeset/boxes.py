"""Boxes of placed strokes, TeX's way: a width, an ascent above the baseline and a descent below it.

Lengths are in capital heights, y downward from the baseline.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latexify.pipeline.synthesis.fonts.glyphs import Glyph, Outline, resample


class Placement(NamedTuple):
    """Strokes of one glyph or rule, and where they go: each point p lands on (x + scale_x p_x, y + scale_y p_y)."""

    name: str
    strokes: tuple[Outline, ...]
    x: float
    y: float
    scale_x: float
    scale_y: float


@dataclass(frozen=True, slots=True)
class Box:
    """A set expression. ascent, descent: reach above and below the baseline; placements: in writing order."""

    width: float
    ascent: float
    descent: float
    placements: tuple[Placement, ...]

    def moved(self, x: float, y: float) -> tuple[Placement, ...]:
        """The placements, shifted by (x, y)."""
        return tuple(p._replace(x=p.x + x, y=p.y + y) for p in self.placements)


def place(name: str, glyph: Glyph, size: float) -> Box:
    """Set a glyph on the baseline at this size."""
    placement = Placement(name, glyph.strokes, 0.0, 0.0, size, size)
    return Box(glyph.width * size, -glyph.top * size, glyph.bottom * size, (placement,))


def rule(name: str, corners: list[tuple[float, float]]) -> Placement:
    """Draw a pen line through these corners."""
    return Placement(name, (resample(np.array(corners)),), 0.0, 0.0, 1.0, 1.0)


def shifted(box: Box, y: float) -> Box:
    """The same box, `y` lower."""
    return Box(box.width, box.ascent - y, box.descent + y, box.moved(0.0, y))


def beside(boxes: list[Box], gaps: list[float]) -> Box:
    """Boxes on one baseline, with these gaps between them."""
    placements: list[Placement] = []
    x = 0.0
    for box, gap in zip(boxes, [*gaps, 0.0], strict=True):
        placements.extend(box.moved(x, 0.0))
        x += box.width + gap
    ascent, descent = max(box.ascent for box in boxes), max(box.descent for box in boxes)
    return Box(x, ascent, descent, tuple(placements))
