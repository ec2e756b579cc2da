"""Typesets an expression tree in a writer's hand: boxes of placed glyphs.

After The TeXbook, appendix G, much simplified: a box has a width, an ascent and a descent; scripts shrink and shift;
fractions and big delimiters are centred on the math axis. The typesetter fixes the structure; a `Hand` supplies glyphs
and measures. Lengths are in capital heights, y downward from the baseline; `size` is the capital height of a line.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, Protocol

from latexify.pipeline.synthesis.formulas.expression import (
    Fenced,
    Fraction,
    Lines,
    Matrix,
    Node,
    Root,
    Row,
    Scripts,
    Symbol,
)
from latexify.pipeline.synthesis.formulas.symbols import ATOMS, Atom
from latexify.pipeline.synthesis.typeset.boxes import Box, Placed, beside, overlay
from latexify.pipeline.synthesis.typeset.stacking import stack


class ScriptLayout(NamedTuple):
    """The box that scripts enlarge, and the x and the baseline y of each script, unused without the script."""

    base: Box
    sub: tuple[float, float]
    sup: tuple[float, float]


class FractionLayout(NamedTuple):
    """Measures of a fraction."""

    bar: Box  # as wide as the fraction
    left: float  # x of the wider part
    above: float  # distance from the baseline to the ink of the numerator
    below: float  # and to that of the denominator
    before: float  # space before the bar
    after: float  # space behind the bar
    is_bar_first: bool


class RootLayout(NamedTuple):
    """Measures of a root."""

    top: float  # y of the sign's upper end
    foot: float  # and of its lower end
    lead: float  # x of the radicand
    width: float  # of the sign
    hook: float  # how far an index may reach into the sign
    index_bottom: float  # y below an index
    index_height: float | None  # of an index; None if its own
    sign: Callable[[float], Placed]  # draws the sign at an x


class Hand(Protocol):
    """The glyphs and the measures of one writer, for one ink; each may be drawn anew by chance."""

    smallest: float
    """Least size: scripts of scripts shrink no further, to stay legible."""

    def __getitem__(self, name: str) -> float:
        """Measure a length in capital heights of the line, or the scale of a part of the formula."""

    def gap(self, name: str, size: float) -> float:
        """Measure the space between neighbours in a row."""

    def symbol(self, token: str, size: float) -> Box:
        """Write a symbol on the baseline."""

    def bracket(self, token: str, body: Box, size: float) -> Box:
        """Write a bracket around `body`."""

    def takes_limits(self, node: Scripts) -> bool:
        """Whether scripts stand below and above their base."""

    def scripts(self, node: Scripts, base: Box, sub: Box | None, sup: Box | None, size: float) -> ScriptLayout:
        """Locate scripts beside their base; the lower one of an integral is tucked under its slanted foot."""

    def fraction(self, widest: float, size: float) -> FractionLayout:
        """Measure a fraction whose wider part is `widest` wide."""

    def root(self, body: Box, size: float) -> RootLayout:
        """Measure a root around its radicand."""


def typeset(node: Node, hand: Hand) -> Box:
    """Typeset an expression at size 1, with whatever errors `hand` raises for a symbol that it lacks."""
    return _Typesetter(hand).set(node, 1.0)


class _Typesetter:
    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    def set(self, node: Node, size: float) -> Box:  # noqa: PLR0911 (one for each kind of node)
        match node:
            case Symbol(token):
                return self._hand.symbol(token, size)
            case Row(items):
                gaps = [self._hand.gap(_gap_name(*pair), size) for pair in pairwise(atoms_of(items))]
                return beside([self.set(item, size) for item in items], gaps)
            case Scripts():
                return self._limits(node, size) if self._hand.takes_limits(node) else self._scripts(node, size)
            case Fraction():
                return self._fraction(node, size)
            case Root():
                return self._root(node, size)
            case Fenced(left, inner, right):
                body = self.set(inner, size)
                brackets = [self._hand.bracket(token, body, size) for token in (left, right)]
                gaps = [self._hand["bar_gap" if left == "|" else "bracket_gap"] * size for _ in range(2)]
                return beside([brackets[0], body, brackets[1]], gaps)
            case Matrix(rows):
                return self._matrix(rows, size)
            case Lines(environment, rows):
                return self._lines(environment, rows, size)

    def _size(self, part: str, size: float) -> float:
        return max(size * self._hand[f"{part}_scale"], self._hand.smallest)

    def _part(self, node: Node | None, part: str, size: float) -> Box | None:
        return None if node is None else self.set(node, self._size(part, size))

    def _scripts(self, node: Scripts, size: float) -> Box:
        base = self.set(node.base, size)
        sub, sup = self._part(node.sub, "subscript", size), self._part(node.sup, "superscript", size)
        layout = self._hand.scripts(node, base, sub, sup, size)
        parts, ascent, descent = [(layout.base, 0.0, 0.0)], layout.base.ascent, layout.base.descent
        if sub is not None:
            parts.append((sub, *layout.sub))
            descent = max(descent, layout.sub[1] + sub.descent)
        if sup is not None:
            parts.append((sup, *layout.sup))
            ascent = max(ascent, sup.ascent - layout.sup[1])
        # A subscript above a flat base does not raise the box, nor does a superscript lower it.
        return overlay(*parts)._replace(ascent=ascent, descent=descent)

    def _limits(self, node: Scripts, size: float) -> Box:
        base = self.set(node.base, size)
        below, above = self._part(node.sub, "limit", size), self._part(node.sup, "limit", size)
        width = max(box.width for box in (base, below, above) if box is not None)
        parts = [(base, (width - base.width) / 2, 0.0)]
        for box, is_below in ((below, True), (above, False)):
            if box is not None:
                shift, gap = self._hand["limit_shift"] * base.width, max(0.02, self._hand["limit_gap"]) * size
                y = base.descent + gap + box.ascent if is_below else -(base.ascent + gap + box.descent)
                parts.append((box, (width - box.width) / 2 + shift, y))
        return overlay(*parts)._replace(width=width)

    def _fraction(self, node: Fraction, size: float) -> Box:
        inner = self._size("fraction", size)
        top, bottom = self.set(node.numerator, inner), self.set(node.denominator, inner)
        widest = max(top.width, bottom.width, 0.3 * size)
        layout = self._hand.fraction(widest, size)
        middle = layout.before + layout.left + widest / 2
        bar = (layout.bar, layout.before, 0.0)
        upper = (top, middle - top.width / 2, -(layout.above + top.descent))
        lower = (bottom, middle - bottom.width / 2, layout.below + bottom.ascent)
        box = overlay(bar, upper, lower) if layout.is_bar_first else overlay(upper, bar, lower)
        return box._replace(width=layout.before + layout.bar.width + layout.after)

    def _root(self, node: Root, size: float) -> Box:
        body = self.set(node.radicand, size)
        layout = self._hand.root(body, size)
        index = self._part(node.index, "index", size)
        left, ascent = 0.0, -layout.top
        index_glyphs: tuple[Placed, ...] = ()
        if index is not None:
            left = max(0.0, index.width - layout.hook)
            index_glyphs = index.moved(left + layout.hook - index.width, layout.index_bottom - index.descent)
            ascent = max(ascent, (layout.index_height or index.ascent + index.descent) - layout.index_bottom)
        glyphs = (*index_glyphs, layout.sign(left), *body.moved(left + layout.lead, 0.0))
        return Box(left + layout.width, ascent, layout.foot, glyphs)

    def _matrix(self, rows: tuple[tuple[Node, ...], ...], size: float) -> Box:
        inner = self._size("cell", size)
        grid = [[self.set(cell, inner) for cell in cells] for cells in rows]
        widths = [max(box.width for box in column) for column in zip(*grid, strict=True)]
        lefts = [0.0]
        for width in widths:
            lefts.append(lefts[-1] + width + self._hand["cell_gap"] * size)
        parts: list[tuple[Box, float, float]] = []
        y, gap = 0.0, 0.0
        for cells in grid:
            y += gap + max(0.7 * inner, *(box.ascent for box in cells))
            parts += [(box, x + (room - box.width) / 2, y) for x, room, box in zip(lefts, widths, cells, strict=False)]
            y += max(self._hand["cell_descent"] * inner, *(box.descent for box in cells))
            gap = self._hand["row_gap"] * size
        rise = y / 2 + self._hand["axis"] * size
        glyphs = overlay(*parts).moved(0.0, -rise)
        return Box(lefts[-2] + widths[-1], rise, y - rise, glyphs)

    def _lines(self, environment: str, rows: tuple[tuple[Node | None, ...], ...], size: float) -> Box:
        grid = [[None if cell is None else self.set(cell, size) for cell in cells] for cells in rows]
        box = stack(grid, environment, self._hand, size)
        if environment != "cases":
            return box
        brace = self._hand.bracket("\\{", box, size)
        return beside([brace, box], [2 * self._hand["bracket_gap"] * size])


def atoms_of(items: tuple[Node, ...]) -> list[Atom]:
    """Class of each item; a sign without a left operand is ordinary (The TeXbook, appendix G, rule 5)."""
    atoms: list[Atom] = []
    for item in items:
        atom = _atom(item)
        lonely = not atoms or atoms[-1] in (Atom.BINARY, Atom.RELATION, Atom.OPENING, Atom.PUNCTUATION, Atom.OPERATOR)
        atoms.append(Atom.ORDINARY if atom is Atom.BINARY and lonely else atom)
    return atoms


def _gap_name(left: Atom, right: Atom) -> str:
    sides = (left, right)
    if Atom.RELATION in sides:
        return "relation_gap"
    if Atom.BINARY in sides:
        return "binary_gap"
    if left is Atom.PUNCTUATION or Atom.INNER in sides:
        return "comma_gap"
    if Atom.OPERATOR in sides:
        return "argument_gap" if right is Atom.OPENING else "function_gap"
    return "nested_gap" if Atom.OPENING in sides else "letter_gap"


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
