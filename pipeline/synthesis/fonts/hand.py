"""The hand of an imaginary writer: glyphs of the stroke fonts, spaced by the writer's style."""

from random import Random

import numpy as np

from latexify.pipeline.synthesis.fonts.glyphs import resample
from latexify.pipeline.synthesis.fonts.writer import ImaginaryWriter
from latexify.pipeline.synthesis.formulas.expression import Scripts, Symbol
from latexify.pipeline.synthesis.formulas.symbols import (
    BIG_OPERATORS,
    FRACTION_BAR,
    INTEGRALS,
    LIMITS,
    NAMED,
    RADICAL,
    Atom,
)
from latexify.pipeline.synthesis.typeset.boxes import Box, Glyph, Placed, beside, glyph_of
from latexify.pipeline.synthesis.typeset.layout import FractionLayout, Part, RootLayout, ScriptLayout

AXIS = 0.38
"""Height of the math axis above the baseline: where bars and plus signs are centred."""
_SMALLEST = 0.38
"""Scripts of scripts shrink no further, to stay legible."""


class FontHand:
    """A `typeset.layout.Hand`. rng: decides between the forms of a glyph, and varies gaps."""

    def __init__(self, writer: ImaginaryWriter, rng: Random) -> None:
        self._writer, self._style, self._rng = writer, writer.style, rng

    def _glyph(self, token: str) -> Glyph:
        return self._writer.glyph(token, self._rng.random())

    def symbol(self, token: str, size: float) -> Box:
        """Write a symbol; the name of a function letter by letter, a big operator enlarged and on the axis."""
        if token in NAMED:
            boxes = [Placed(self._glyph(letter), 0.0, 0.0, size, size).box for letter in token[1:]]
            return beside(boxes, [0.75 * self._style.letter_gap * size] * (len(boxes) - 1))
        glyph, y = self._glyph(token), 0.0
        if token in BIG_OPERATORS + INTEGRALS:
            y = -AXIS * size
            size *= self._style.operator_scale
            y -= size * (glyph.top + glyph.bottom) / 2
        return Placed(glyph, 0.0, y, size, size).box

    def bracket(self, token: str, body: Box, size: float) -> Box:
        """Write a bracket that is centred on the axis, stretched if the body asks for more than it has."""
        axis = AXIS * size
        reach = max(body.ascent - axis, body.descent + axis) + 0.06 * size
        glyph = self._glyph(token)
        tall = max(size, 2 * reach / (glyph.bottom - glyph.top))
        return Placed(
            glyph, 0.0, -axis - tall * (glyph.top + glyph.bottom) / 2, size * min(1.6, (tall / size) ** 0.4), tall
        ).box

    def size_of(self, part: Part, size: float) -> float:
        """Capital height in a part of a line of this size."""
        scale = {"fraction": self._style.fraction_scale, "index": 0.55, "cell": 0.9}.get(part, self._style.script_scale)
        return max(size * scale, _SMALLEST)

    def gap(self, left: Atom, right: Atom, size: float) -> float:
        """Space between neighbours. TeX drops the space around operators in scripts; people keep some."""
        style, extra = self._style, 0.0
        if Atom.RELATION in (left, right):
            extra = style.relation_gap
        elif Atom.BINARY in (left, right):
            extra = style.binary_gap
        elif left is Atom.PUNCTUATION or Atom.INNER in (left, right):
            extra = 0.14
        elif Atom.OPERATOR in (left, right) and right is not Atom.OPENING:
            extra = 0.24
        looseness = 1.0 if size > 0.8 else 0.4
        return (style.letter_gap + looseness * extra) * size * self._rng.uniform(0.85, 1.15)

    def bracket_gap(self, left: str, size: float) -> float:
        """Space between a bracket and its body."""
        return (0.8 if left == "|" else 0.6) * self._style.letter_gap * size

    def takes_limits(self, node: Scripts) -> bool:
        """Whether scripts stand below and above their base."""
        token = node.base.token if isinstance(node.base, Symbol) else ""
        return token in LIMITS or (token in BIG_OPERATORS and not self._style.limits_beside)

    def scripts(self, node: Scripts, base: Box, sub: Box | None, sup: Box | None, size: float) -> ScriptLayout:
        """Locate scripts; the lower one of an integral stands further left, under its slanted foot."""
        style, right = self._style, base.width + 0.7 * self._style.letter_gap * size
        rise = drop = 0.0
        if sup is not None:
            rise = max(style.superscript_rise * size, base.ascent - 0.38 * size, sup.descent + 0.36 * size)
        if sub is not None:
            drop = max(style.subscript_drop * size, base.descent + 0.12 * size, sub.ascent - 0.42 * size)
        if sub is not None and sup is not None:
            drop += max(0.0, 0.12 * size - (rise - sup.descent + drop - sub.ascent))
        tuck = 0.35 * base.width if isinstance(node.base, Symbol) and node.base.token in INTEGRALS else 0.0
        frame = Box(right, max(base.ascent, 0.0), max(base.descent, 0.0), base.glyphs)
        return ScriptLayout(frame, (right - tuck, drop), (right, -rise))

    def limit(self, base: Box, size: float) -> tuple[float, float]:  # noqa: ARG002 (all limits are alike)
        """Shift of one limit to the right, and its distance from the base."""
        return 0.0, 0.16 * size

    def fraction(self, widest: float, size: float) -> FractionLayout:
        """Measure a fraction."""
        gap, overhang, axis = self._style.rule_gap * size, self._style.rule_overhang * size, AXIS * size
        width = widest + 2 * overhang
        bar = _drawn(FRACTION_BAR, [(0.0, -axis), (width, -axis)]).box
        side = 0.06 * size
        return FractionLayout(bar, overhang, axis + gap, gap - axis, side, side, is_bar_first=False)

    def root(self, body: Box, size: float) -> RootLayout:
        """Measure a root."""
        gap, hook = 0.16 * size, 0.2 * size
        top = -max(body.ascent + gap, 0.9 * size)
        foot = max(body.descent, 0.0) + 0.06 * size
        middle = foot + 0.5 * (top - foot)
        start = hook + 0.34 * size
        lead = start + gap / 2
        width = lead + body.width + 0.1 * size

        def sign(left: float) -> Placed:
            corners = [
                (0.0, middle + 0.08 * size),
                (0.4 * hook, middle),
                (hook + 0.02 * size, foot),
                (start, top),
                (width, top),
            ]
            return _drawn(RADICAL, [(left + x, y) for x, y in corners])

        return RootLayout(top, foot, lead, width, hook, middle - 0.1 * size, 0.6 * size, sign)

    def axis(self, size: float) -> float:
        """Height of the math axis above the baseline."""
        return AXIS * size

    def cell_gap(self, size: float) -> float:
        """Space between two columns of a matrix."""
        return 0.55 * size

    def row_gap(self, size: float) -> float:
        """Space between two rows of a matrix."""
        return 0.32 * size

    def least_cell(self, size: float) -> tuple[float, float]:
        """Least ascent and descent of a row of a matrix."""
        return 0.7 * size, 0.05 * size


def _drawn(token: str, corners: list[tuple[float, float]]) -> Placed:
    """A pen line through these corners. It turns about the origin, not about its own left edge."""
    return Placed(glyph_of(token, [resample(np.array(corners))], keep_left=True), 0.0, 0.0, 1.0, 1.0)
