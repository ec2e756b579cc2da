"""Sets an expression tree in a writer's hand: TeX's boxes, with the measures that people keep.

After The TeXbook, appendix G, much simplified, as `latexify.pipeline.synthesis.typeset.layout`; here a glyph's box is the ink of the
very symbol that was written, and measures vary by writer, ink and place. Lengths are in capital heights, y down from
the baseline.
"""

from itertools import pairwise

from latexify.pipeline.synthesis.composed.bank import Glyph
from latexify.pipeline.synthesis.composed.boxes import Box, Placed, beside
from latexify.pipeline.synthesis.composed.formula import BAR, RADICAL
from latexify.pipeline.synthesis.composed.habits import Habits
from latexify.pipeline.synthesis.composed.hand import Hand
from latexify.pipeline.synthesis.formulas.expression import Fenced, Fraction, Matrix, Node, Root, Row, Scripts, Symbol
from latexify.pipeline.synthesis.formulas.symbols import Atom
from latexify.pipeline.synthesis.typeset.layout import atoms_of

BIG = frozenset(
    ["\\sum", "\\prod", "\\coprod", "\\bigcup", "\\bigcap", "\\bigoplus", "\\bigotimes", "\\bigvee", "\\bigwedge"]
)
INTEGRALS = frozenset(["\\int", "\\oint", "\\iint", "\\iiint"])
LIMITS = frozenset(["\\lim", "\\max", "\\min", "\\sup", "\\inf", "\\limsup", "\\liminf", "\\gcd", "\\det", "\\Pr"])
_SMALLEST = 0.34
"""Scripts of scripts shrink no further, to stay legible."""
_TALL = 1.35
"""What is higher than this has its brackets stretched."""


def typeset(node: Node, hand: Hand, habits: Habits) -> Box:
    """Set an expression. Raises MissingSymbolError where nobody wrote one of its symbols."""
    return _Typesetter(hand, habits).set(node, 1.0)


class _Typesetter:
    def __init__(self, hand: Hand, habits: Habits) -> None:
        self._hand, self._habits = hand, habits

    def set(self, node: Node, size: float) -> Box:  # noqa: PLR0911 (one for each kind of node)
        match node:
            case Symbol(token):
                return self._symbol(token, size)
            case Row(items):
                return self._row(items, size)
            case Scripts():
                return self._limits(node, size) if self._takes_limits(node) else self._scripts(node, size)
            case Fraction():
                return self._fraction(node, size)
            case Root():
                return self._root(node, size)
            case Fenced():
                return self._fenced(node, size)
            case Matrix(rows):
                return self._matrix(rows, size)

    def _symbol(self, token: str, size: float) -> Box:
        glyph = self._hand.glyph(token)
        y = self._habits["wobble"] * size
        placed = Placed(glyph, 0.0, y, size, size)
        return Box(glyph.width * size, -(y + glyph.top * size), y + glyph.bottom * size, (placed,))

    # --- rows ---------------------------------------------------------------------------------------------------

    def _row(self, items: tuple[Node, ...], size: float) -> Box:
        atoms = atoms_of(items)
        gaps = [self._gap(left, right) * size for left, right in pairwise(atoms)]
        return beside([self.set(item, size) for item in items], gaps)

    def _gap(self, left: Atom, right: Atom) -> float:
        sides = (left, right)
        if Atom.RELATION in sides:
            return self._habits["relation_gap"]
        if Atom.BINARY in sides:
            return self._habits["binary_gap"]
        if left is Atom.PUNCTUATION or Atom.INNER in sides:
            return self._habits["comma_gap"]
        if Atom.OPERATOR in sides:
            return self._habits["function_gap"]
        if Atom.OPENING in sides:
            return self._habits["nested_gap"]
        return self._habits["letter_gap"]

    # --- scripts ------------------------------------------------------------------------------------------------

    def _takes_limits(self, node: Scripts) -> bool:
        token = node.base.token if isinstance(node.base, Symbol) else ""
        if token in LIMITS:
            return node.sub is not None
        if token in INTEGRALS:
            return not self._habits.integral_limits_beside
        return token in BIG and not self._habits.limits_beside

    def _inner(self, node: Node | None, size: float, habit: str) -> Box | None:
        return None if node is None else self.set(node, max(size * self._habits[habit], _SMALLEST))

    def _scripts(self, node: Scripts, size: float) -> Box:
        base, habits = self.set(node.base, size), self._habits
        sub, sup = self._inner(node.sub, size, "subscript_scale"), self._inner(node.sup, size, "superscript_scale")
        # The ink of a superscript ends above the base's middle and not far below its top; of a subscript likewise.
        rise = max(0.3 * size + 0.5 * base.ascent, base.ascent - 0.3 * size) + habits["superscript_lift"] * size
        drop = max(0.4 * base.descent - 0.24 * size, base.descent - 0.42 * size) + habits["subscript_drop"] * size
        glyphs = list(base.glyphs)
        width, ascent, descent = base.width, base.ascent, base.descent
        # The lower script of an integral stands further left, under its slanted foot.
        is_integral = isinstance(node.base, Symbol) and node.base.token in INTEGRALS
        tuck = 0.3 * base.width if is_integral else 0.0
        if sub is not None:
            top = drop
            if sup is not None:
                top = max(top, -rise + 0.1 * size)
            left = base.width - tuck + habits["subscript_gap"] * size
            glyphs += sub.moved(left, top + sub.ascent)
            width, descent = left + sub.width, max(descent, top + sub.ascent + sub.descent)
        if sup is not None:
            left = base.width + habits["superscript_gap"] * size
            glyphs += sup.moved(left, -rise - sup.descent)
            width, ascent = max(width, left + sup.width), max(ascent, rise + sup.ascent + sup.descent)
        return Box(width, ascent, descent, tuple(glyphs))

    def _limits(self, node: Scripts, size: float) -> Box:
        base, habits = self.set(node.base, size), self._habits
        below, above = self._inner(node.sub, size, "limit_scale"), self._inner(node.sup, size, "limit_scale")
        half = max(box.width for box in (base, below, above) if box is not None) / 2
        glyphs = list(base.moved(half - base.width / 2, 0.0))
        ascent, descent = base.ascent, base.descent
        for box, side in ((below, 1), (above, -1)):
            if box is None:
                continue
            left = half - box.width / 2 + habits["limit_shift"] * base.width
            gap = max(0.02, habits["limit_gap"]) * size
            if side > 0:
                glyphs += box.moved(left, descent + gap + box.ascent)
                descent += gap + box.ascent + box.descent
            else:
                glyphs += box.moved(left, -(ascent + gap + box.descent))
                ascent += gap + box.ascent + box.descent
        return Box(2 * half, ascent, descent, tuple(glyphs))

    # --- two-dimensional structures -----------------------------------------------------------------------------

    def _fraction(self, node: Fraction, size: float) -> Box:
        habits = self._habits
        inner = max(size * habits["fraction_scale"], _SMALLEST)
        top, bottom = self.set(node.numerator, inner), self.set(node.denominator, inner)
        widest = max(top.width, bottom.width, 0.3 * size)
        left = min(max(habits["bar_overhang"], -0.1) * size, 0.6 * size)
        right = min(max(habits["bar_overhang"] * 1.2, -0.1) * size, 0.8 * size)
        width = max(widest + left + right, 0.4 * size)
        bar = self._hand.glyph(BAR, width=width / size)
        axis = habits["axis"] * size
        scale_x = width / max(bar.width, 0.05)
        scale_y = min(size, scale_x)
        bar_top = -axis - (bar.bottom - bar.top) * scale_y / 2
        bar_bottom = -2 * axis - bar_top
        rise = max(0.02, habits["numerator_gap"]) * size - bar_top + top.descent
        drop = bar_bottom + max(0.03, habits["denominator_gap"]) * size + bottom.ascent
        placed = Placed(bar, 0.0, bar_top - bar.top * scale_y, scale_x, scale_y)
        upper = top.moved(left + (widest - top.width) * 0.5, -rise)
        lower = bottom.moved(left + (widest - bottom.width) * 0.5, drop)
        glyphs = (placed, *upper, *lower) if habits.bar_first else (*upper, placed, *lower)
        outer = max(0.0, -left)
        box = Box(width + outer, rise + top.ascent, drop + bottom.descent, glyphs)
        return box._replace(glyphs=box.moved(outer, 0.0)) if outer else box

    def _root(self, node: Root, size: float) -> Box:
        habits, body = self._habits, self.set(node.radicand, size)
        top = -(body.ascent + max(0.12, habits["radical_above"]) * size)
        foot = max(body.descent + habits["radical_below"] * size, top + 0.6 * size)
        lead, right = habits["radical_lead"] * size, max(-0.1, habits["radical_right"]) * size
        width, height = lead + body.width + right, foot - top
        sign = self._hand.glyph(RADICAL, aspect=width / height)
        # the rising stroke must not cross what stands under the bar
        lead = max(lead, _rise_of(sign) * width + 0.05 * size)
        width = lead + body.width + right
        scale_x, scale_y = width / max(sign.width, 0.1), height / max(sign.bottom - sign.top, 0.1)
        left, ascent = 0.0, -top
        index_glyphs: tuple[Placed, ...] = ()
        if node.index is not None:
            index = self.set(node.index, max(habits["index_scale"] * size, _SMALLEST))
            left = max(0.0, index.width - 0.45 * lead)
            bottom = top + 0.42 * height
            index_glyphs = index.moved(left + 0.45 * lead - index.width, bottom - index.descent)
            ascent = max(ascent, -(bottom - index.descent - index.ascent))
        placed = Placed(sign, left, top - sign.top * scale_y, scale_x, scale_y)
        glyphs = (*index_glyphs, placed, *body.moved(left + lead, 0.0))
        return Box(left + width, ascent, foot, glyphs)

    def _fenced(self, node: Fenced, size: float) -> Box:
        body = self.set(node.body, size)
        left, right = self._bracket(node.left, body, size), self._bracket(node.right, body, size)
        gaps = [self._habits["bracket_gap"] * size, self._habits["bracket_gap"] * size]
        return beside([left, body, right], gaps)

    def _bracket(self, token: str, body: Box, size: float) -> Box:
        """A bracket: as it was written around something flat, stretched around something tall."""
        height = body.ascent + body.descent
        if height < _TALL * size:
            return self._symbol(token, size)
        reach = self._habits["bracket_reach"] * size
        top, bottom = -body.ascent - reach, body.descent + reach
        glyph = self._hand.glyph(token, aspect=0.5 * size / (bottom - top))
        scale_y = (bottom - top) / max(glyph.bottom - glyph.top, 0.3)
        scale_x = size * min(1.5, max(1.0, scale_y / size) ** 0.4)
        placed = Placed(glyph, 0.0, top - glyph.top * scale_y, scale_x, scale_y)
        return Box(glyph.width * scale_x, -top, bottom, (placed,))

    def _matrix(self, rows: tuple[tuple[Node, ...], ...], size: float) -> Box:
        habits = self._habits
        grid = [[self.set(cell, size) for cell in cells] for cells in rows]
        widths = [max(box.width for box in column) for column in zip(*grid, strict=True)]
        lefts = [0.0]
        for width in widths:
            lefts.append(lefts[-1] + width + habits["cell_gap"] * size)
        glyphs: list[Placed] = []
        y, gap = 0.0, 0.0
        for cells in grid:
            y += gap + max(0.7 * size, *(box.ascent for box in cells))
            for left, width, box in zip(lefts, widths, cells, strict=False):
                glyphs += box.moved(left + (width - box.width) / 2, y)
            y += max(0.0, *(box.descent for box in cells))
            gap = habits["row_gap"] * size
        rise = y / 2 + habits["axis"] * size
        box = Box(lefts[-2] + widths[-1], rise, y - rise, tuple(glyphs))
        return box._replace(glyphs=box.moved(0.0, -rise))


def _rise_of(sign: Glyph) -> float:
    """Where a radical has risen to its bar, as a share of its width."""
    high = sign.points[:, 1] <= sign.top + 0.25 * (sign.bottom - sign.top)
    return float(sign.points[high, 0].min()) / max(sign.width, 0.1)
