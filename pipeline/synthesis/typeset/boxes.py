"""Boxes of placed glyphs, as in TeX: a width, an ascent above the baseline and a descent below it.

Lengths are in capital heights. x runs to the right, y downward from the baseline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Glyph:
    """One way to write a symbol, the bar of a fraction or a radical, at unit size; x from its left edge."""

    token: str  # LaTeX token, `FRACTION_BAR` or `RADICAL`
    points: Floats  # [num_points, 2], the strokes one after another
    stroke_lengths: Sequence[int]  # number of points of each stroke
    width: float
    top: float
    bottom: float

    @property
    def strokes(self) -> list[Floats]:
        """Each stroke, float64 [num_points, 2]."""
        return np.split(self.points, np.cumsum(self.stroke_lengths)[:-1])


def glyph_of(token: str, strokes: Sequence[Floats], *, keep_left: bool = False) -> Glyph:
    """Make a glyph of strokes, moved so that its ink begins at x = 0 (unless `keep_left`)."""
    points = np.concatenate(strokes)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    shifted = points if keep_left else points - (left, 0.0)
    return Glyph(token, shifted, [len(stroke) for stroke in strokes], right - left, top, bottom)


class Placed(NamedTuple):
    """A glyph and its location: each point p goes to (x + scale_x p_x, y + scale_y p_y)."""

    glyph: Glyph
    x: float
    y: float
    scale_x: float
    scale_y: float

    @property
    def box(self) -> "Box":
        """The box around the ink, which begins at x."""
        glyph, scale_y = self.glyph, self.scale_y
        ascent, descent = -(self.y + glyph.top * scale_y), self.y + glyph.bottom * scale_y
        return Box(glyph.width * self.scale_x, ascent, descent, (self,))


class Box(NamedTuple):
    """A typeset expression. ascent, descent: reach above and below the baseline. glyphs: in writing order."""

    width: float
    ascent: float
    descent: float
    glyphs: tuple[Placed, ...]

    def moved(self, x: float, y: float) -> tuple[Placed, ...]:
        """The glyphs, shifted by (x, y)."""
        return tuple([p._replace(x=p.x + x, y=p.y + y) for p in self.glyphs])


def beside(boxes: Sequence[Box], gaps: Sequence[float]) -> Box:
    """Put boxes on one baseline, with these gaps between them."""
    glyphs: list[Placed] = []
    x = 0.0
    for box, gap in zip(boxes, [*gaps, 0.0], strict=True):
        glyphs += box.moved(x, 0.0)
        x += box.width + gap
    return Box(x, max(box.ascent for box in boxes), max(box.descent for box in boxes), tuple(glyphs))


def overlay(*parts: tuple[Box, float, float]) -> Box:
    """Put each box at its (x, y) and draw a box around all; glyphs keep the order of the parts."""
    return Box(
        max(x + box.width for box, x, _ in parts),
        max(box.ascent - y for box, _, y in parts),
        max(box.descent + y for box, _, y in parts),
        tuple([placed for box, x, y in parts for placed in box.moved(x, y)]),
    )


def ink_of(
    glyphs: Sequence[Placed], *, pivots: Floats, centres: Floats, scale: Floats, angle: Floats
) -> tuple[Floats, list[int]]:
    """Points of placed glyphs, each scaled and turned about its pivot, which goes to its centre.

    pivots, centres and scale, in place of the scales in `glyphs`, are float64 [num_glyphs, 2], angle in rad is float64
    [num_glyphs]. Returns points, float64 [num_points, 2], and the number of points of each stroke.
    """
    index = np.repeat(np.arange(len(glyphs)), [len(each.glyph.points) for each in glyphs])
    points = (np.concatenate([each.glyph.points for each in glyphs]) - pivots[index]) * scale[index]
    turned = _rotated(points[:, 0], points[:, 1], angle[index])
    return turned + centres[index], [length for each in glyphs for length in each.glyph.stroke_lengths]


def on_page(points: Floats, wave: tuple[float, float, float], *, slant: float, aspect: float, angle: float) -> Floats:
    """Distort a whole line of writing: points, float64 [num_points, 2].

    wave: height, frequency and phase of the baseline's slow wave. slant: horizontal shift per height. aspect: factor of
    all widths. angle: rotation of the line in rad.
    """
    x, y = points.T
    height, frequency, phase = wave
    y = y + height * np.sin(frequency * x + phase)
    return _rotated((x - slant * y) * aspect, y, angle)


def _rotated(x: Floats, y: Floats, angle: Floats | float) -> Floats:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.column_stack([x * cos - y * sin, x * sin + y * cos])
