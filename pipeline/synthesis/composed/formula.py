r"""Labels as expression trees, and the symbols of a tree in the order in which its label names them."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.latex.parser import TooDeepError, parse
from latexify.pipeline.latex.prepare import prepare
from latexify.pipeline.latex.tree import Command, Environment, Group, Item, Items, Scripted
from latexify.pipeline.synthesis.formulas.expression import (
    Fenced,
    Fraction,
    Matrix,
    Node,
    Root,
    Row,
    Scripts,
    Symbol,
    label,
    row,
)

BAR, RADICAL = "\\frac", "\\sqrt"
"""Tokens that stand for the pen strokes of a fraction and of a root."""

CLOSING_OF = {"(": ")", "[": "]", "\\{": "\\}", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil", "\\langle": "\\rangle"}
_STRUCTURE = frozenset(["{", "}", "^", "_", "&", "\\\\", "'", " ", "$", "#", "%"])


class UnsupportedFormulaError(ValueError):
    """A label that cannot be set; the message says in a few words why, so that such labels can be counted."""


class Leaf(NamedTuple):
    """One symbol of a formula, or the bar of a fraction, or a radical.

    line: number of the line that it stands on. A line is what shares a baseline and a size: a script, a numerator, a
    denominator, an index and a cell of a matrix begin a new one; what is in brackets or under a radical does not.
    """

    token: str
    line: int


def tree_of(text: str) -> Node:
    r"""The tree of a formula, its brackets paired; the tree's label is `text`, normalised.

    Raises UnsupportedFormulaError for what has no place in a tree of symbols, fractions, roots, scripts and matrices.
    """
    normalized = normalize(text)
    try:
        items = parse(prepare(tokenize(normalized)))
    except TooDeepError:
        raise UnsupportedFormulaError("nests too deep") from None
    tree = _row(items)
    if label(tree) != normalized:
        raise UnsupportedFormulaError("braces that group")
    return tree


def _row(items: Items) -> Node:
    if not items:
        raise UnsupportedFormulaError("an empty part")
    return _fenced(row(*map(_node, items)))


def _node(item: Item) -> Node:  # noqa: C901 (one branch for each kind of item)
    match item:
        case str():
            if item in _STRUCTURE or item.startswith(("\\begin{", "\\end{")):
                raise UnsupportedFormulaError("a stray mark")
            return Symbol(item)
        case Scripted(base, scripts):
            found = {mark: _row(content or []) for mark, content in scripts}
            if base is None or len(found) < len(scripts):
                raise UnsupportedFormulaError("a script without base, or twice")
            return Scripts(_node(base), sub=found.get("_"), sup=found.get("^"))
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
    """Make each pair of brackets in a row, and what it holds, one node."""
    done: list[Node] = []
    opened: list[int] = []
    for item in node.items if isinstance(node, Row) else ():
        token = _token(item)
        if token in CLOSING_OF:
            opened.append(len(done))
        elif opened and token == CLOSING_OF[_token(done[opened[-1]])]:
            start = opened.pop()
            if len(done) > start + 1:
                pair = Fenced(_token(done[start]), row(*done[start + 1 :]), token)
                done[start:] = [Scripts(pair, item.sub, item.sup) if isinstance(item, Scripts) else pair]
                continue
        done.append(item)
    return row(*done) if done else node


def _token(item: Node) -> str:
    """The token that an item is, or is a script of; empty for others."""
    if isinstance(item, Scripts):
        item = item.base
    return item.token if isinstance(item, Symbol) else ""


def leaves(node: Node) -> list[Leaf]:
    """The symbols of a tree in the order of its label, a fraction's bar and a radical before what belongs to them."""
    found: list[Leaf] = []
    _collect(node, 0, found, iter(range(1, 1_000_000)))
    return found


def _collect(node: Node, line: int, found: list[Leaf], lines: Iterator[int]) -> None:
    match node:
        case Symbol(token):
            found.append(Leaf(token, line))
        case Row(items):
            for item in items:
                _collect(item, line, found, lines)
        case Scripts(base, sub, sup):
            _collect(base, line, found, lines)
            _collect_all([sub, sup], found, lines)
        case Fraction(numerator, denominator):
            found.append(Leaf(BAR, line))
            _collect_all([numerator, denominator], found, lines)
        case Root(radicand, index):
            found.append(Leaf(RADICAL, line))
            _collect_all([index], found, lines)
            _collect(radicand, line, found, lines)
        case Fenced(left, body, right):
            found.append(Leaf(left, line))
            _collect(body, line, found, lines)
            found.append(Leaf(right, line))
        case Matrix(rows):
            for cells in rows:
                _collect_all(cells, found, lines)


def _collect_all(nodes: Sequence[Node | None], found: list[Leaf], lines: Iterator[int]) -> None:
    """Collect each on a line of its own."""
    for node in nodes:
        if node is not None:
            _collect(node, next(lines), found, lines)


def written_tokens(node: Node) -> frozenset[str]:
    """The tokens that need a symbol."""
    return frozenset(leaf.token for leaf in leaves(node))
