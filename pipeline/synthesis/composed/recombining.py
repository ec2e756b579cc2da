"""New formulas of old ones: symbols exchanged for others of their class, parts for parts that stood in such a place."""

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random

from latexify.pipeline.synthesis.composed.formula import UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.formulas.expression import (
    Fenced,
    Fraction,
    Matrix,
    Node,
    Root,
    Row,
    Scripts,
    Symbol,
    row,
)

ALIKE = (
    tuple("0123456789"),
    tuple("abcdefghijklmnopqrstuvwxyz"),
    tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ("\\alpha", "\\beta", "\\gamma", "\\theta", "\\lambda", "\\mu", "\\pi", "\\phi", "\\sigma", "\\omega"),
    ("\\Delta", "\\Gamma", "\\Omega", "\\Phi", "\\Psi", "\\Theta"),
    ("+", "-", "\\pm"),
    ("\\times", "\\div", "\\cdot", "/"),
    ("=", "\\ne", "<", ">", "\\le", "\\ge"),
    ("\\sin", "\\cos", "\\tan", "\\log"),
)
"""Symbols that can stand for each other in a formula."""
_EXCHANGED = 0.5
"""Share of a formula's symbols that are exchanged."""


class Recombiner:
    """The formulas that were given, each as often as it occurs, and what can be made of them.

    training: normalised labels with the number of inks that bear them; those that have no tree are passed over.
    """

    def __init__(self, training: Mapping[str, int]) -> None:
        self._trees = _parsed(training)
        self._cumulative = list(itertools.accumulate(count for _, count in self._trees))
        self._parts: dict[str, list[Node]] = {}
        for tree, _ in self._trees:
            for kind, part in iter_parts(tree):
                self._parts.setdefault(kind, []).append(part)
        self._alike = _symbol_weights(self._trees)

    def __len__(self) -> int:
        """Number of distinct formulas."""
        return len(self._trees)

    def drawn(self, rng: Random) -> Node:
        """One of the formulas as it is."""
        at = bisect.bisect(self._cumulative, rng.random() * self._cumulative[-1])
        return self._trees[at][0]

    def exchanged(self, tree: Node, rng: Random) -> Node:
        """The formula with symbols exchanged for others of their class, one for all its places as often as not."""
        everywhere: dict[str, str] = {}

        def exchange(symbol: Symbol) -> Node:
            if symbol.token == "d":  # most likely a differential
                return symbol
            if symbol.token not in everywhere or rng.random() < 0.3:
                everywhere[symbol.token] = self._another(symbol.token, rng)
            return Symbol(everywhere[symbol.token])

        return mapped(tree, exchange)

    def _another(self, token: str, rng: Random) -> str:
        others = self._alike.get(token)
        if others is None or rng.random() > _EXCHANGED:
            return token
        tokens, cumulative = others
        return tokens[bisect.bisect(cumulative, rng.random() * cumulative[-1])]

    def recombined(self, tree: Node, rng: Random) -> Node:
        """The formula with one of its parts exchanged for a part of another formula."""
        places = list(iter_parts(tree))
        if not places:
            return tree
        kind, old = rng.choice(places)
        return replaced(tree, old, rng.choice(self._parts[kind]))


def _parsed(training: Mapping[str, int]) -> list[tuple[Node, int]]:
    found = []
    for text, count in training.items():
        try:
            found.append((tree_of(text), count))
        except UnsupportedFormulaError:
            continue
    return found


def _symbol_weights(training: Iterable[tuple[Node, int]]) -> dict[str, tuple[list[str], list[float]]]:
    """For each token the others of its class, with cumulative weights: rare ones count for more than their share."""
    counts: Counter[str] = Counter()
    for tree, count in training:
        for leaf in leaves(tree):
            counts[leaf.token] += count
    found: dict[str, tuple[list[str], list[float]]] = {}
    for group in ALIKE:
        there = [token for token in group if counts[token]]
        weights = list(itertools.accumulate(counts[token] ** 0.6 for token in there))
        found |= {token: (there, weights) for token in there if len(there) > 1}
    return found


def iter_parts(node: Node) -> Iterator[tuple[str, Node]]:  # noqa: C901 (one branch for each kind of node)
    """Parts of a formula with the place that each fills: what stands in one may stand in another of its kind."""
    match node:
        case Row(items):
            for item in items:
                if not isinstance(item, Symbol):
                    yield "item", item
                yield from iter_parts(item)
        case Scripts(base, sub, sup):
            yield from iter_parts(base)
            if isinstance(base, Symbol) and base.token.startswith("\\"):
                return  # limits belong to their operator
            for kind, script in (("sub", sub), ("sup", sup)):
                if script is not None:
                    yield kind, script
        case Fraction(numerator, denominator):
            yield "part", numerator
            yield "part", denominator
            yield from iter_parts(numerator)
            yield from iter_parts(denominator)
        case Root(radicand, _):
            yield "part", radicand
            yield from iter_parts(radicand)
        case Fenced(_, body, _):
            yield "part", body
            yield from iter_parts(body)


def replaced(node: Node, old: Node, new: Node) -> Node:  # noqa: PLR0911 (one for each kind of node)
    """The tree with the very node `old` replaced."""
    if node is old:
        return new
    match node:
        case Row(items):
            return row(*[replaced(item, old, new) for item in items])
        case Scripts(base, sub, sup):
            return Scripts(replaced(base, old, new), sub and replaced(sub, old, new), sup and replaced(sup, old, new))
        case Fraction(numerator, denominator):
            return Fraction(replaced(numerator, old, new), replaced(denominator, old, new))
        case Root(radicand, index):
            return Root(replaced(radicand, old, new), index)
        case Fenced(left, body, right):
            return Fenced(left, replaced(body, old, new), right)
        case _:
            return node


def mapped(node: Node, change: Callable[[Symbol], Node]) -> Node:  # noqa: PLR0911 (one for each kind of node)
    """The tree with every symbol changed; names of delimiters stay."""
    match node:
        case Symbol():
            return change(node)
        case Row(items):
            return row(*[mapped(item, change) for item in items])
        case Scripts(base, sub, sup):
            return Scripts(mapped(base, change), sub and mapped(sub, change), sup and mapped(sup, change))
        case Fraction(numerator, denominator):
            return Fraction(mapped(numerator, change), mapped(denominator, change))
        case Root(radicand, index):
            return Root(mapped(radicand, change), index and mapped(index, change))
        case Fenced(left, body, right):
            return Fenced(left, mapped(body, change), right)
        case Matrix(rows):
            return Matrix(tuple(tuple(mapped(cell, change) for cell in cells) for cells in rows))
