"""The hand of a person: their glyphs for one ink, glyphs of others where they wrote none, and their spacing.

Each `Habit.middle` is the median over CROHME's training inks, and the spreads reproduce about their quartiles, as
measured by ``python -m benchmarks.studies.layout_of_inks``. Lengths are in capital heights of their line.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

from latexify.pipeline.latex.tables import command_names
from latexify.pipeline.synthesis.composed.bank import Bank
from latexify.pipeline.synthesis.formulas.expression import Scripts, token_of
from latexify.pipeline.synthesis.formulas.symbols import FRACTION_BAR, RADICAL
from latexify.pipeline.synthesis.typeset.boxes import Box, Glyph, Placed
from latexify.pipeline.synthesis.typeset.layout import FractionLayout, RootLayout, ScriptLayout

BIG = command_names("sum prod coprod bigcup bigcap bigoplus bigotimes bigvee bigwedge")
INTEGRALS = command_names("int oint iint iiint")
LIMITS = command_names("lim max min sup inf limsup liminf gcd det Pr")
_FIXED = {"cell_scale": 1.0, "cell_descent": 0.0}
_SAME_HABIT = {"argument_gap": "function_gap", "bar_gap": "bracket_gap"}
_TALL = 1.35
"""Brackets around something higher than this are stretched."""
_CANDIDATES = 6
"""Number of glyphs from which the best-fitting is chosen, where the shape matters."""


@dataclass(frozen=True, slots=True)
class Habit:
    """A measure: its median, and its spread, by factors if `relative`, otherwise by addition."""

    middle: float
    between_writers: float
    within: float
    relative: bool = True


HABITS = {
    # gaps between neighbours
    "letter_gap": Habit(0.25, 0.07, 0.10, relative=False),
    "binary_gap": Habit(0.42, 0.35, 0.35),
    "relation_gap": Habit(0.53, 0.40, 0.40),
    "function_gap": Habit(0.40, 0.25, 0.30),
    "comma_gap": Habit(0.34, 0.25, 0.35),
    "nested_gap": Habit(0.38, 0.25, 0.35),
    "bracket_gap": Habit(0.16, 0.07, 0.11, relative=False),
    "cell_gap": Habit(0.90, 0.25, 0.20),
    "bracket_reach": Habit(0.12, 0.10, 0.10, relative=False),
    # scripts
    "superscript_scale": Habit(0.52, 0.20, 0.18),
    "subscript_scale": Habit(0.49, 0.20, 0.20),
    "superscript_gap": Habit(0.12, 0.06, 0.10, relative=False),
    "subscript_gap": Habit(0.13, 0.06, 0.10, relative=False),
    "superscript_lift": Habit(0.0, 0.10, 0.11, relative=False),
    "subscript_drop": Habit(0.0, 0.08, 0.11, relative=False),
    # limits
    "limit_scale": Habit(0.55, 0.20, 0.20),
    "limit_gap": Habit(0.20, 0.06, 0.09, relative=False),
    "limit_shift": Habit(0.03, 0.05, 0.08, relative=False),
    # fractions; gap and overhang in units of the line, whose parts are smaller
    "fraction_scale": Habit(0.69, 0.22, 0.15),
    "numerator_gap": Habit(0.19, 0.06, 0.07, relative=False),
    "denominator_gap": Habit(0.23, 0.06, 0.07, relative=False),
    "bar_overhang": Habit(0.16, 0.09, 0.15, relative=False),
    "axis": Habit(0.39, 0.06, 0.05, relative=False),
    # roots
    "radical_lead": Habit(1.00, 0.20, 0.20),
    "radical_above": Habit(0.50, 0.20, 0.25),
    "radical_below": Habit(0.06, 0.08, 0.12, relative=False),
    "radical_right": Habit(0.28, 0.15, 0.20, relative=False),
    "index_scale": Habit(0.48, 0.12, 0.12),
    # rows of a matrix
    "row_gap": Habit(0.45, 0.25, 0.15),
    # shift of a symbol from its line
    "wobble": Habit(0.0, 0.0, 0.035, relative=False),
}


LINE_HABITS = {
    # CROHME has no lines to measure; these are judged by eye
    "line_gap": Habit(0.65, 0.35, 0.20),
    "line_indent": Habit(0.0, 0.0, 0.25, relative=False),
    "line_slope": Habit(0.0, 0.008, 0.012, relative=False),
    "line_anchor": Habit(0.10, 0.25, 0.05, relative=False),
}
"""Of formulas of several lines: the space between them, the shift and slope of each, and how far they are centred."""


class Habits:
    """The measures of one writer in one ink. variation: 0 gives medians, 1 the variation of people."""

    def __init__(self, writer: Random, ink: Random, *, variation: float) -> None:
        self._ink, self._variation = ink, variation
        self._own = {name: writer.gauss(0, habit.between_writers) for name, habit in HABITS.items()}
        self.limits_beside = writer.random() < 0.12
        self.integral_limits_beside = writer.random() < 0.6
        self.bar_first = writer.random() < 0.4
        # drawn last, so that the other habits do not depend on them
        self._own |= {name: writer.gauss(0, habit.between_writers) for name, habit in LINE_HABITS.items()}

    def __getitem__(self, name: str) -> float:
        habit = HABITS.get(name) or LINE_HABITS[name]
        # more than two standard deviations would be a slip of the pen
        here = min(2.0, max(-2.0, self._ink.gauss(0, 1))) * habit.within
        change = self._variation * (self._own[name] + here)
        return habit.middle * math.exp(change) if habit.relative else habit.middle + change


class MissingSymbolError(LookupError):
    """Nobody wrote this token."""


class ComposedHand:
    """A `typeset.layout.Hand` of the glyphs of `writer`; each token that they lack is lent by one other writer.

    Writers whose inks lie in the same folder come first: they wrote on the same device.
    """

    smallest = 0.34

    def __init__(self, bank: Bank, writer: int, rng: Random, habits: Habits) -> None:
        self._bank, self._writer, self._rng, self._habits = bank, writer, rng, habits
        self._chosen: dict[str, Sequence[int]] = {}

    def glyph(self, token: str, *, width: float | None = None, aspect: float | None = None) -> Glyph:
        """Choose a glyph of a token: any, or one of about this width or this width-to-height ratio.

        Raises MissingSymbolError if nobody wrote the token.
        """
        if token not in self._chosen:
            self._chosen[token] = self._choose(token)
        glyphs = self._chosen[token]
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

    def __getitem__(self, name: str) -> float:
        return _FIXED[name] if name in _FIXED else self._habits[_SAME_HABIT.get(name, name)]

    def gap(self, name: str, size: float) -> float:
        """Draw a gap."""
        return self[name] * size

    def takes_limits(self, node: Scripts) -> bool:
        """Whether scripts stand below and above their base."""
        token = token_of(node)
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
        tuck = 0.3 * width if token_of(node) in INTEGRALS else 0.0
        below = above = (0.0, 0.0)
        if sub is not None:
            top = drop if sup is None else max(drop, -rise + 0.1 * size)
            below = (width - tuck + habits["subscript_gap"] * size, top + sub.ascent)
            base = base._replace(width=0.0)  # a narrow script under an integral may end before it
        if sup is not None:
            above = (width + habits["superscript_gap"] * size, -rise - sup.descent)
        return ScriptLayout(base, below, above)

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
        y, hook, index_bottom = top - sign.top * scale_y, 0.45 * lead, top + 0.42 * height
        place = partial(Placed, sign, y=y, scale_x=scale_x, scale_y=scale_y)
        return RootLayout(top, foot, lead, width, hook, index_bottom, None, place)


def _rise_of(sign: Glyph) -> float:
    """Where a radical has risen to its bar, as a fraction of its width."""
    high = sign.points[:, 1] <= sign.top + 0.25 * (sign.bottom - sign.top)
    return float(sign.points[high, 0].min()) / max(sign.width, 0.1)
