"""The hand of a person: their glyphs for one ink, glyphs of others where they wrote none, and their spacing."""

from collections.abc import Sequence
from random import Random

from latexify.pipeline.synthesis.composed.bank import Bank
from latexify.pipeline.synthesis.composed.habits import Habits
from latexify.pipeline.synthesis.formulas.expression import Scripts, Symbol
from latexify.pipeline.synthesis.formulas.symbols import FRACTION_BAR, RADICAL, Atom
from latexify.pipeline.synthesis.typeset.boxes import Box, Glyph, Placed
from latexify.pipeline.synthesis.typeset.layout import FractionLayout, Part, RootLayout, ScriptLayout

BIG = frozenset(
    ["\\sum", "\\prod", "\\coprod", "\\bigcup", "\\bigcap", "\\bigoplus", "\\bigotimes", "\\bigvee", "\\bigwedge"]
)
INTEGRALS = frozenset(["\\int", "\\oint", "\\iint", "\\iiint"])
LIMITS = frozenset(["\\lim", "\\max", "\\min", "\\sup", "\\inf", "\\limsup", "\\liminf", "\\gcd", "\\det", "\\Pr"])
_SMALLEST = 0.34
"""Scripts of scripts shrink no further, to stay legible."""
_TALL = 1.35
"""Brackets around something higher than this are stretched."""
_CANDIDATES = 6
"""Number of glyphs from which the best-fitting is chosen, where the shape matters."""


class MissingSymbolError(LookupError):
    """Nobody wrote this token."""


class ComposedHand:
    """A `typeset.layout.Hand` of the glyphs of `writer`; each token that they lack is lent by one other writer.

    Writers whose inks lie in the same folder come first: they wrote on the same device.
    """

    def __init__(self, bank: Bank, writer: int, rng: Random, habits: Habits) -> None:
        self._bank, self._writer, self._rng, self._habits = bank, writer, rng, habits
        self._chosen: dict[str, Sequence[int]] = {}

    # --- glyphs -------------------------------------------------------------------------------------------------

    def glyph(self, token: str, *, width: float | None = None, aspect: float | None = None) -> Glyph:
        """Choose a glyph of a token: any, or one of about this width or this width-to-height ratio.

        Raises:
            MissingSymbolError: If nobody wrote the token.
        """
        glyphs = self._chosen.get(token)
        if glyphs is None:
            glyphs = self._chosen[token] = self._choose(token)
        if width is None and aspect is None:
            return self._bank.glyph(self._rng.choice(glyphs))
        candidates = self._rng.sample(glyphs, _CANDIDATES) if len(glyphs) > _CANDIDATES else glyphs
        return self._bank.glyph(min(candidates, key=lambda index: self._misfit(index, width, aspect)))

    def _choose(self, token: str) -> Sequence[int]:
        by_writer = self._bank.glyphs_of.get(token)
        if not by_writer:
            raise MissingSymbolError(token)
        if self._writer in by_writer:
            return by_writer[self._writer]
        folder = self._bank.writers[self._writer].folder
        near = [writer for writer in by_writer if self._bank.writers[writer].folder == folder]
        return by_writer[self._rng.choice(near or list(by_writer))]

    def _misfit(self, index: int, width: float | None, aspect: float | None) -> float:
        (left, top), (right, bottom) = self._bank.extents[index].tolist()
        if width is not None:
            return float(abs(right - left - width))
        assert aspect is not None
        ratio = (right - left + 0.05) / (bottom - top + 0.05)
        return float(max(ratio / aspect, aspect / ratio))

    # --- layout -------------------------------------------------------------------------------------------------

    def symbol(self, token: str, size: float) -> Box:
        """Write a symbol about on the baseline."""
        glyph = self.glyph(token)
        return Placed(glyph, 0.0, self._habits["wobble"] * size, size, size).box

    def bracket(self, token: str, body: Box, size: float) -> Box:
        """Write a bracket: as it was written around something flat, stretched around something tall."""
        if body.ascent + body.descent < _TALL * size:
            return self.symbol(token, size)
        reach = self._habits["bracket_reach"] * size
        top, bottom = -body.ascent - reach, body.descent + reach
        glyph = self.glyph(token, aspect=0.5 * size / (bottom - top))
        scale_y = (bottom - top) / max(glyph.bottom - glyph.top, 0.3)
        scale_x = size * min(1.5, max(1.0, scale_y / size) ** 0.4)
        placed = Placed(glyph, 0.0, top - glyph.top * scale_y, scale_x, scale_y)
        return Box(glyph.width * scale_x, -top, bottom, (placed,))

    def size_of(self, part: Part, size: float) -> float:
        """Capital height in a part of a line of this size."""
        return size if part == "cell" else max(size * self._habits[f"{part}_scale"], _SMALLEST)

    def gap(self, left: Atom, right: Atom, size: float) -> float:
        """Space between neighbours in a row."""
        sides = (left, right)
        if Atom.RELATION in sides:
            name = "relation_gap"
        elif Atom.BINARY in sides:
            name = "binary_gap"
        elif left is Atom.PUNCTUATION or Atom.INNER in sides:
            name = "comma_gap"
        elif Atom.OPERATOR in sides:
            name = "function_gap"
        else:
            name = "nested_gap" if Atom.OPENING in sides else "letter_gap"
        return self._habits[name] * size

    def bracket_gap(self, left: str, size: float) -> float:  # noqa: ARG002 (all brackets are alike)
        """Space between a bracket and its body."""
        return self._habits["bracket_gap"] * size

    def takes_limits(self, node: Scripts) -> bool:
        """Whether scripts stand below and above their base."""
        token = node.base.token if isinstance(node.base, Symbol) else ""
        if token in LIMITS:
            return node.sub is not None
        if token in INTEGRALS:
            return not self._habits.integral_limits_beside
        return token in BIG and not self._habits.limits_beside

    def scripts(self, node: Scripts, base: Box, sub: Box | None, sup: Box | None, size: float) -> ScriptLayout:
        """Locate scripts; the lower one of an integral stands further left, under its slanted foot."""
        habits, width = self._habits, base.width
        # The ink of a superscript ends above the base's middle and not far below its top; of a subscript likewise.
        rise = max(0.3 * size + 0.5 * base.ascent, base.ascent - 0.3 * size) + habits["superscript_lift"] * size
        drop = max(0.4 * base.descent - 0.24 * size, base.descent - 0.42 * size) + habits["subscript_drop"] * size
        tuck = 0.3 * width if isinstance(node.base, Symbol) and node.base.token in INTEGRALS else 0.0
        below = above = (0.0, 0.0)
        if sub is not None:
            top = drop if sup is None else max(drop, -rise + 0.1 * size)
            below = (width - tuck + habits["subscript_gap"] * size, top + sub.ascent)
            base = base._replace(width=0.0)  # a narrow script under an integral may end before it
        if sup is not None:
            above = (width + habits["superscript_gap"] * size, -rise - sup.descent)
        return ScriptLayout(base, below, above)

    def limit(self, base: Box, size: float) -> tuple[float, float]:
        """Shift of one limit to the right, and its distance from the base."""
        shift = self._habits["limit_shift"] * base.width
        return shift, max(0.02, self._habits["limit_gap"]) * size

    def fraction(self, widest: float, size: float) -> FractionLayout:
        """Measure a fraction."""
        habits = self._habits
        left = min(max(habits["bar_overhang"], -0.1) * size, 0.6 * size)
        right = min(max(habits["bar_overhang"] * 1.2, -0.1) * size, 0.8 * size)
        width = max(widest + left + right, 0.4 * size)
        glyph = self.glyph(FRACTION_BAR, width=width / size)
        axis = habits["axis"] * size
        scale_x = width / max(glyph.width, 0.05)
        scale_y = min(size, scale_x)
        top = -axis - (glyph.bottom - glyph.top) * scale_y / 2
        bottom = -2 * axis - top
        bar = Box(width, -top, bottom, (Placed(glyph, 0.0, top - glyph.top * scale_y, scale_x, scale_y),))
        above = max(0.02, habits["numerator_gap"]) * size - top
        below = bottom + max(0.03, habits["denominator_gap"]) * size
        return FractionLayout(bar, left, above, below, max(0.0, -left), 0.0, habits.bar_first)

    def root(self, body: Box, size: float) -> RootLayout:
        """Measure a root; the sign's rising stroke must not cross what stands under its bar."""
        habits = self._habits
        top = -(body.ascent + max(0.12, habits["radical_above"]) * size)
        foot = max(body.descent + habits["radical_below"] * size, top + 0.6 * size)
        lead, right = habits["radical_lead"] * size, max(-0.1, habits["radical_right"]) * size
        width, height = lead + body.width + right, foot - top
        sign = self.glyph(RADICAL, aspect=width / height)
        lead = max(lead, _rise_of(sign) * width + 0.05 * size)
        width = lead + body.width + right
        scale_x, scale_y = width / max(sign.width, 0.1), height / max(sign.bottom - sign.top, 0.1)
        y = top - sign.top * scale_y
        index_bottom = top + 0.42 * height
        return RootLayout(
            top, foot, lead, width, 0.45 * lead, index_bottom, None, lambda x: Placed(sign, x, y, scale_x, scale_y)
        )

    def axis(self, size: float) -> float:
        """Height of the math axis above the baseline."""
        return self._habits["axis"] * size

    def cell_gap(self, size: float) -> float:
        """Space between two columns of a matrix."""
        return self._habits["cell_gap"] * size

    def row_gap(self, size: float) -> float:
        """Space between two rows of a matrix."""
        return self._habits["row_gap"] * size

    def least_cell(self, size: float) -> tuple[float, float]:
        """Least ascent and descent of a row of a matrix."""
        return 0.7 * size, 0.0


def _rise_of(sign: Glyph) -> float:
    """Where a radical has risen to its bar, as a fraction of its width."""
    high = sign.points[:, 1] <= sign.top + 0.25 * (sign.bottom - sign.top)
    return float(sign.points[high, 0].min()) / max(sign.width, 0.1)
