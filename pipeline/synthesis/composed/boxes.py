"""Boxes of placed glyphs. Lengths are in capital heights, y down from the baseline."""

from collections.abc import Sequence
from typing import NamedTuple

from latexify.pipeline.synthesis.composed.bank import Glyph


class Placed(NamedTuple):
    """A glyph and where it goes: each point p lands on (x + scale_x p_x, y + scale_y p_y)."""

    glyph: Glyph
    x: float
    y: float
    scale_x: float
    scale_y: float


class Box(NamedTuple):
    """A set expression. ascent, descent: reach above and below the baseline. glyphs: in writing order."""

    width: float
    ascent: float
    descent: float
    glyphs: tuple[Placed, ...]

    def moved(self, x: float, y: float) -> tuple[Placed, ...]:
        """The glyphs, shifted by (x, y)."""
        return tuple([p._replace(x=p.x + x, y=p.y + y) for p in self.glyphs])


def beside(boxes: Sequence[Box], gaps: Sequence[float]) -> Box:
    """Boxes on one baseline, with these gaps between them."""
    glyphs: list[Placed] = []
    x = 0.0
    for box, gap in zip(boxes, [*gaps, 0.0], strict=True):
        glyphs += box.moved(x, 0.0)
        x += box.width + gap
    return Box(x, max(box.ascent for box in boxes), max(box.descent for box in boxes), tuple(glyphs))
