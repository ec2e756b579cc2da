"""Labels as expression trees, and the symbols of a tree in the order of its label."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.latex.parser import TooDeepError, parse
from latexify.pipeline.latex.prepare import prepare
from latexify.pipeline.latex.tree import Command, Environment, Group, Item, Items, Scripted
from latexify.pipeline.synthesis.formulas import expression
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
from latexify.pipeline.synthesis.formulas.symbols import CLOSINGS, FRACTION_BAR, OPENINGS, RADICAL

CLOSING_OF = dict(zip(OPENINGS, CLOSINGS, strict=True))
_STRUCTURE = frozenset(["{", "}", "^", "_", "&", "\\\\", "'", " ", "$", "#", "%"])


class UnsupportedFormulaError(ValueError):
    """A label that cannot be typeset. The message is a reason of a few words, so that such labels can be counted."""


class Leaf(NamedTuple):
    """One symbol of a formula, or the bar of a fraction, or a radical; and the index of the line that it stands on.

    Symbols on a line share a baseline and a size: a script, a numerator, a denominator, an index and a cell of a matrix
    begin a new line; the content of brackets and radicals does not.
    """

    token: str
    line: int


def tree_of(text: str) -> Node:
    """Parse a formula and pair its brackets; the tree's label is `text`, normalised.

    Raises UnsupportedFormulaError if it holds more than symbols, fractions, roots, scripts and matrices.
    """
    normalized = normalize(text)
    try:
        items = parse(prepare(tokenize(normalized)))
    except TooDeepError:
        raise UnsupportedFormulaError("nests too deep") from None
    tree = _row(items)
    if expression.label(tree) != normalized:
        raise UnsupportedFormulaError("braces that group")
    return tree


def _row(items: Items) -> Node:
    if not items:
        raise UnsupportedFormulaError("an empty part")
    return _fenced(expression.row(*map(_node, items)))


def _node(item: Item) -> Node:  # noqa: C901 (one branch for each kind of item)
    match item:
        case str():
            if item in _STRUCTURE or item.startswith(("\\begin{", "\\end{")):
                raise UnsupportedFormulaError("a stray mark")
            return Symbol(item)
        case Scripted(base, scripts):
            by_mark = {mark: _row(content or []) for mark, content in scripts}
            if base is None or len(by_mark) < len(scripts):
                raise UnsupportedFormulaError("a script without base, or twice")
            return Scripts(_node(base), sub=by_mark.get("_"), sup=by_mark.get("^"))
        case Command("\\frac", [numerator, denominator], None, 0):
            return Fraction(_row(numerator), _row(denominator))
        case Command("\\sqrt", [radicand], index, 0):
            return Root(_row(radicand), _row(index) if index else None)
        case Command("\\mathbb", [[str(letter)]], None, 0):
            return Symbol(f"\\mathbb{{{letter}}}")
        case Environment("matrix", [], cells):
            return _matrix(cells)
        case Command(name):
            raise UnsupportedFormulaError(f"the command {name}")
        case Environment(name):
            raise UnsupportedFormulaError(f"the environment {name}")
        case Group():
            raise UnsupportedFormulaError("braces that group")
        case _:
            raise UnsupportedFormulaError("text")


def _matrix(items: Items) -> Node:
    rows: list[list[Items]] = [[[]]]
    for item in items:
        if item == "\\\\":
            rows.append([[]])
        elif item == "&":
            rows[-1].append([])
        else:
            rows[-1][-1].append(item)
    if len({len(cells) for cells in rows}) > 1:
        raise UnsupportedFormulaError("a matrix with ragged rows")
    return Matrix(tuple(tuple(map(_row, cells)) for cells in rows))


def _fenced(node: Node) -> Node:
    """Turn each pair of brackets in a row, with its content, into one node."""
    done: list[Node] = []
    opened: list[int] = []
    for item in node.items if isinstance(node, Row) else ():
        token = expression.token_of(item)
        if token in CLOSING_OF:
            opened.append(len(done))
        elif opened and token == CLOSING_OF[expression.token_of(done[opened[-1]])]:
            start = opened.pop()
            if len(done) > start + 1:
                pair = Fenced(expression.token_of(done[start]), expression.row(*done[start + 1 :]), token)
                done[start:] = [Scripts(pair, item.sub, item.sup) if isinstance(item, Scripts) else pair]
                continue
        done.append(item)
    return expression.row(*done) if done else node


def leaves(node: Node) -> list[Leaf]:
    """The symbols of a tree in the order of its label; a fraction's bar and a radical come before their content."""
    return list(_iter_leaves(node, 0, itertools.count(1)))


def _iter_leaves(  # noqa: C901, PLR0912 (one branch for each kind of node)
    node: Node, line: int, lines: Iterator[int]
) -> Iterator[Leaf]:
    """Yield the leaves of a node on `line`; `lines` gives new lines their index."""
    children: Iterable[Node | None] = ()  # each on a line of its own
    match node:
        case Symbol(token):
            yield Leaf(token, line)
        case Row(items):
            for item in items:
                yield from _iter_leaves(item, line, lines)
        case Scripts(base, sub, sup):
            yield from _iter_leaves(base, line, lines)
            children = (sub, sup)
        case Fraction(numerator, denominator):
            yield Leaf(FRACTION_BAR, line)
            children = (numerator, denominator)
        case Root(radicand, index):
            yield Leaf(RADICAL, line)
            if index is not None:
                yield from _iter_leaves(index, next(lines), lines)
            yield from _iter_leaves(radicand, line, lines)
        case Fenced(left, body, right):
            yield Leaf(left, line)
            yield from _iter_leaves(body, line, lines)
            yield Leaf(right, line)
        case Matrix(rows):
            children = itertools.chain.from_iterable(rows)
        case Lines(environment, lines_of_cells):
            if environment == "cases":
                yield Leaf("\\{", line)
            children = itertools.chain.from_iterable(lines_of_cells)
    for child in children:
        if child is not None:
            yield from _iter_leaves(child, next(lines), lines)
