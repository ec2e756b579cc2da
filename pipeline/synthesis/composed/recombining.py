"""New formulas from training labels: symbols are exchanged within their class, parts for parts of the same kind."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from random import Random

from latexify.pipeline.synthesis.composed.formula import UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.formulas.expression import (
    Fenced,
    Fraction,
    Node,
    Root,
    Row,
    Scripts,
    Symbol,
    label,
    rebuilt,
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
"""Classes of symbols that can replace each other in a formula."""
_EXCHANGED = 0.5
"""Fraction of a formula's symbols that are exchanged."""


class Recombiner:
    """Draws training formulas, as often as they occur, and changes them.

    training: normalised labels with their number of inks; labels without a tree are passed over.
    """

    def __init__(self, training: Mapping[str, int]) -> None:
        self._trees: list[tuple[Node, int]] = []
        for text, count in training.items():
            with suppress(UnsupportedFormulaError):
                self._trees.append((tree_of(text), count))
        self._cumulative = list(itertools.accumulate(count for _, count in self._trees))
        self._parts: dict[str, list[Node]] = defaultdict(list)
        for kind, part in itertools.chain.from_iterable(iter_parts(tree) for tree, _ in self._trees):
            self._parts[kind].append(part)
        self._alike = _symbol_weights(self._trees)

    @property
    def labels(self) -> Iterator[str]:
        """Each of the formulas, as often as it occurs."""
        return itertools.chain.from_iterable(itertools.repeat(label(tree), count) for tree, count in self._trees)

    def __len__(self) -> int:
        return len(self._trees)

    def drawn(self, rng: Random) -> Node:
        """One of the formulas as it is."""
        return rng.choices(self._trees, cum_weights=self._cumulative)[0][0]

    def exchanged(self, tree: Node, rng: Random) -> Node:
        """The formula with symbols exchanged for others of their class; mostly all occurrences of a symbol alike."""
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
        return rng.choices(tokens, cum_weights=cumulative)[0]

    def recombined(self, tree: Node, rng: Random) -> Node:
        """The formula with one of its parts exchanged for a part of another formula."""
        parts = list(iter_parts(tree))
        if not parts:
            return tree
        kind, old = rng.choice(parts)
        return replaced(tree, old, rng.choice(self._parts[kind]))


def _symbol_weights(training: Iterable[tuple[Node, int]]) -> dict[str, tuple[list[str], list[float]]]:
    """For each token its class, with cumulative weights that favour rare tokens."""
    counts: Counter[str] = Counter()
    for tree, count in training:
        for leaf in leaves(tree):
            counts[leaf.token] += count
    weighted: dict[str, tuple[list[str], list[float]]] = {}
    for group in ALIKE:
        seen = [token for token in group if counts[token]]
        weights = list(itertools.accumulate(counts[token] ** 0.6 for token in seen))
        weighted |= {token: (seen, weights) for token in seen if len(seen) > 1}
    return weighted


def iter_parts(node: Node) -> Iterator[tuple[str, Node]]:
    """Yield the parts of a formula with their kind; a part can replace others of its kind."""
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
        case Root(inner, _) | Fenced(_, inner, _):
            yield "part", inner
            yield from iter_parts(inner)


def replaced(node: Node, old: Node, new: Node) -> Node:
    """The tree with the node `old` (the object itself) replaced."""
    return new if node is old else rebuilt(node, lambda child: replaced(child, old, new))


def mapped(node: Node, change: Callable[[Symbol], Node]) -> Node:
    """The tree with every symbol changed; delimiters stay."""
    return change(node) if isinstance(node, Symbol) else rebuilt(node, lambda child: mapped(child, change))
