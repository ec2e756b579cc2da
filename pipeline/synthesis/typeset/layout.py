"""Sets an expression tree as TeX would, with a writer's habits for measures: boxes of placed strokes.

After The TeXbook, appendix G, much simplified: a box has a width, an ascent and a descent; scripts shrink and shift;
fractions and big delimiters are centred on the math axis. Lengths are in capital heights, y downward from the baseline.
"""

from itertools import pairwise
from random import Random

import numpy as np

from latexify.pipeline.synthesis.fonts.glyphs import Glyph
from latexify.pipeline.synthesis.fonts.hand import Hand
from latexify.pipeline.synthesis.formulas.expression import Fenced, Fraction, Matrix, Node, Root, Row, Scripts, Symbol
from latexify.pipeline.synthesis.formulas.symbols import ATOMS, BIG_OPERATORS, INTEGRALS, LIMITS, NAMED, Atom
from latexify.pipeline.synthesis.typeset.boxes import Box, Placement, beside, place, rule, shifted

AXIS = 0.38
"""Height of the math axis above the baseline: where bars and plus signs are centred."""
_SMALLEST = 0.38
"""Scripts of scripts shrink no further, to stay legible."""


def typeset(node: Node, hand: Hand, rng: Random) -> Box:
    """Set an expression in a writer's hand; `rng` decides which form of a glyph stands where."""
    return _Typesetter(hand, rng).set(node, 1.0)


class _Typesetter:
    def __init__(self, hand: Hand, rng: Random) -> None:
        self._hand, self._style, self._rng = hand, hand.style, rng

    def set(self, node: Node, size: float) -> Box:  # noqa: PLR0911 (one for each kind of node)
        match node:
            case Symbol(token):
                return self._symbol(token, size)
            case Row(items):
                return self._row(items, size)
            case Scripts():
                return self._limits(node, size) if self._takes_limits(node.base) else self._scripts(node, size)
            case Fraction():
                return self._fraction(node, size)
            case Root():
                return self._root(node, size)
            case Fenced():
                return self._fenced(node, size)
            case Matrix(rows):
                return self._matrix(rows, size)

    # --- single glyphs ------------------------------------------------------------------------------------------

    def _glyph(self, token: str) -> Glyph:
        return self._hand.glyph(token, self._rng.random())

    def _symbol(self, token: str, size: float) -> Box:
        if token in NAMED:
            return self._word(token[1:], size)
        if token in BIG_OPERATORS + INTEGRALS:
            return self._big(token, size * self._style.operator_scale)
        return place(token, self._glyph(token), size)

    def _word(self, letters: str, size: float) -> Box:
        boxes = [place(letter, self._glyph(letter), size) for letter in letters]
        return beside(boxes, [0.75 * self._style.letter_gap * size] * (len(boxes) - 1))

    def _big(self, token: str, size: float) -> Box:
        """A big operator, centred on the axis of the size around it."""
        glyph = self._glyph(token)
        middle = size * (glyph.top + glyph.bottom) / 2
        shift = -AXIS * size / self._style.operator_scale - middle
        return shifted(place(token, glyph, size), shift)

    # --- rows ---------------------------------------------------------------------------------------------------

    def _row(self, items: tuple[Node, ...], size: float) -> Box:
        atoms = atoms_of(items)
        gaps = [self._gap(left, right, size) for left, right in pairwise(atoms)]
        return beside([self.set(item, size) for item in items], gaps)

    def _gap(self, left: Atom, right: Atom, size: float) -> float:
        style = self._style
        # TeX drops the space around operators in scripts; people keep some.
        looseness = 1.0 if size > 0.8 else 0.4
        gap = style.letter_gap
        if Atom.RELATION in (left, right):
            gap += looseness * style.relation_gap
        elif Atom.BINARY in (left, right):
            gap += looseness * style.binary_gap
        elif left is Atom.PUNCTUATION or Atom.INNER in (left, right):
            gap += looseness * 0.14
        elif Atom.OPERATOR in (left, right) and right is not Atom.OPENING:
            gap += looseness * 0.24
        return gap * size * self._rng.uniform(0.85, 1.15)

    # --- scripts ------------------------------------------------------------------------------------------------

    def _takes_limits(self, base: Node) -> bool:
        if not isinstance(base, Symbol):
            return False
        return base.token in LIMITS or (base.token in BIG_OPERATORS and not self._style.limits_beside)

    def _script(self, node: Node | None, size: float) -> Box | None:
        return None if node is None else self.set(node, max(size * self._style.script_scale, _SMALLEST))

    def _scripts(self, node: Scripts, size: float) -> Box:
        base = self.set(node.base, size)
        sub, sup = self._script(node.sub, size), self._script(node.sup, size)
        style, gap = self._style, 0.7 * self._style.letter_gap * size
        rise = drop = 0.0
        if sup is not None:
            rise = max(style.superscript_rise * size, base.ascent - 0.38 * size, sup.descent + 0.36 * size)
        if sub is not None:
            drop = max(style.subscript_drop * size, base.descent + 0.12 * size, sub.ascent - 0.42 * size)
        if sub is not None and sup is not None:
            drop += max(0.0, 0.12 * size - (rise - sup.descent + drop - sub.ascent))
        parts = [base.placements]
        # The lower script of an integral stands further left, under its slanted foot.
        tuck = 0.35 * base.width if isinstance(node.base, Symbol) and node.base.token in INTEGRALS else 0.0
        if sub is not None:
            parts.append(sub.moved(base.width + gap - tuck, drop))
        if sup is not None:
            parts.append(sup.moved(base.width + gap, -rise))
        width = base.width + gap + max(sup.width if sup else 0.0, sub.width - tuck if sub else 0.0)
        ascent = max(base.ascent, rise + sup.ascent if sup else 0.0)
        descent = max(base.descent, drop + sub.descent if sub else 0.0)
        return Box(width, ascent, descent, sum(parts, ()))

    def _limits(self, node: Scripts, size: float) -> Box:
        base = self.set(node.base, size)
        below, above = self._script(node.sub, size), self._script(node.sup, size)
        gap = 0.16 * size
        width = max(box.width for box in (base, below, above) if box is not None)
        placements = base.moved((width - base.width) / 2, 0.0)
        ascent, descent = base.ascent, base.descent
        if below is not None:
            placements += below.moved((width - below.width) / 2, descent + gap + below.ascent)
            descent += gap + below.ascent + below.descent
        if above is not None:
            placements += above.moved((width - above.width) / 2, -(ascent + gap + above.descent))
            ascent += gap + above.ascent + above.descent
        return Box(width, ascent, descent, placements)

    # --- two-dimensional structures -----------------------------------------------------------------------------

    def _fraction(self, node: Fraction, size: float) -> Box:
        style = self._style
        inner = max(size * style.fraction_scale, _SMALLEST)
        top, bottom = self.set(node.numerator, inner), self.set(node.denominator, inner)
        gap, overhang = style.rule_gap * size, style.rule_overhang * size
        width = max(top.width, bottom.width, 0.3 * size) + 2 * overhang
        axis = AXIS * size
        rise, drop = axis + gap + top.descent, gap + bottom.ascent - axis
        placements = (
            *top.moved((width - top.width) / 2, -rise),
            rule("rule", [(0.0, -axis), (width, -axis)]),
            *bottom.moved((width - bottom.width) / 2, drop),
        )
        side = 0.06 * size
        box = Box(width + 2 * side, rise + top.ascent, drop + bottom.descent, placements)
        return Box(box.width, box.ascent, box.descent, box.moved(side, 0.0))

    def _root(self, node: Root, size: float) -> Box:
        body = self.set(node.radicand, size)
        gap = 0.16 * size
        top = -max(body.ascent + gap, 0.9 * size)
        foot = max(body.descent, 0.0) + 0.06 * size
        hook, rise = 0.2 * size, 0.34 * size
        middle = foot + 0.5 * (top - foot)
        left = 0.0
        placements: tuple[Placement, ...] = ()
        if node.index is not None:
            index = self.set(node.index, max(0.55 * size, _SMALLEST))
            left = max(0.0, index.width - hook)
            placements = index.moved(left + hook - index.width, middle - 0.1 * size - index.descent)
        turn, start = left + hook + 0.02 * size, left + hook + rise
        end = start + gap / 2 + body.width + 0.1 * size
        sign = [(left, middle + 0.08 * size), (left + 0.4 * hook, middle), (turn, foot), (start, top), (end, top)]
        placements += (rule("root", sign), *body.moved(start + gap / 2, 0.0))
        ascent = max(-top, -(middle - 0.1 * size) + 0.6 * size if node.index is not None else 0.0)
        return Box(end, ascent, foot, placements)

    def _fenced(self, node: Fenced, size: float) -> Box:
        body = self.set(node.body, size)
        axis = AXIS * size
        reach = max(body.ascent - axis, body.descent + axis) + 0.06 * size
        left, right = self._delimiter(node.left, size, reach), self._delimiter(node.right, size, reach)
        gap = (0.8 if node.left == "|" else 0.6) * self._style.letter_gap * size
        return beside([left, body, right], [gap, gap])

    def _delimiter(self, token: str, size: float, reach: float) -> Box:
        """A delimiter, stretched where `reach` (its extent above and below the axis) asks for more than it has."""
        glyph = self._glyph(token)
        tall = max(size, 2 * reach / (glyph.bottom - glyph.top))
        wide = size * min(1.6, (tall / size) ** 0.4)
        y = -AXIS * size - tall * (glyph.top + glyph.bottom) / 2
        placement = Placement(token, glyph.strokes, 0.0, y, wide, tall)
        return Box(glyph.width * wide, -(y + glyph.top * tall), y + glyph.bottom * tall, (placement,))

    def _matrix(self, rows: tuple[tuple[Node, ...], ...], size: float) -> Box:
        inner = max(0.9 * size, _SMALLEST)
        grid = [[self.set(cell, inner) for cell in cells] for cells in rows]
        widths = [max(box.width for box in column) for column in zip(*grid, strict=True)]
        lefts = np.cumsum([0.0, *(width + 0.55 * size for width in widths)])
        placements: tuple[Placement, ...] = ()
        y = 0.0
        for cells in grid:
            y += max(0.7 * inner, *(box.ascent for box in cells))
            for left, width, box in zip(lefts, widths, cells, strict=False):
                placements += box.moved(float(left) + (width - box.width) / 2, y)
            y += max(0.05 * inner, *(box.descent for box in cells)) + 0.32 * size
        height = y - 0.32 * size
        rise = height / 2 + AXIS * size
        box = Box(float(lefts[-1]) - 0.55 * size, rise, height - rise, placements)
        return Box(box.width, box.ascent, box.descent, box.moved(0.0, -rise))


def atoms_of(items: tuple[Node, ...]) -> list[Atom]:
    """Class of each item; a sign without a left operand is ordinary (The TeXbook, appendix G, rule 5)."""
    atoms: list[Atom] = []
    for item in items:
        atom = _atom(item)
        lonely = not atoms or atoms[-1] in (Atom.BINARY, Atom.RELATION, Atom.OPENING, Atom.PUNCTUATION, Atom.OPERATOR)
        atoms.append(Atom.ORDINARY if atom is Atom.BINARY and lonely else atom)
    return atoms


def _atom(node: Node) -> Atom:
    match node:
        case Symbol(token):
            return ATOMS.get(token, Atom.ORDINARY)
        case Scripts(base, _, _):
            return _atom(base)
        case Fraction():
            return Atom.INNER
        case Fenced():
            return Atom.OPENING
        case _:
            return Atom.ORDINARY
