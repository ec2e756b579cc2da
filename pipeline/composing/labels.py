"""What is written: labels of training inks as they are, changed and recombined; a grammar's; and listed formulas."""

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from pipeline.composing.formula import UnsupportedFormulaError, leaves, tree_of
from pipeline.config import LabelShares
from pipeline.latex import normalize, tokenize
from pipeline.synthetic.expression import Fenced, Fraction, Matrix, Node, Root, Row, Scripts, Symbol, label, row
from pipeline.synthetic.grammar import expression

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
MOST_TRIES = 50
"""Labels in a row that may be unusable before the share that they come from is given up for one ink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """What a label must keep to: its number of tokens, its symbols, and what it must not be."""

    min_tokens: int
    max_tokens: int
    symbols: frozenset[str]
    forbidden: frozenset[str]

    def problem(self, tree: Node) -> str | None:
        """Why the formula cannot be used, None where it can."""
        text = label(tree)
        if normalize(text) != text:
            return "not in normal form"
        if text in self.forbidden:
            return "held-out label"
        if not self.min_tokens <= len(tokenize_tight(text)) <= self.max_tokens:
            return "length"
        missing = sorted({leaf.token for leaf in leaves(tree)} - self.symbols)
        return f"no symbol {missing[0]}" if missing else None


def tokenize_tight(text: str) -> list[str]:
    """LaTeX tokens of a normalised label without spaces."""
    return [token for token in tokenize(text) if token != " "]


class LabelSource:
    """Draws formulas in the shares asked for.

    training: labels of the training inks with how often each occurs. listed: formulas that are fit for use.
    """

    def __init__(
        self,
        *,
        training: Mapping[str, int],
        listed: Sequence[str],
        shares: LabelShares,
        rules: LabelRules,
        max_depth: int,
    ) -> None:
        self._rules, self._max_depth = rules, max_depth
        self._training = _parsed(training)
        self._cumulative = list(itertools.accumulate(count for _, count in self._training))
        self._listed = listed
        self._parts = _parts([tree for tree, _ in self._training])
        self._symbols = _symbol_weights(self._training)
        makers: dict[str, Callable[[Random], Node]] = {
            "copied": self._drawn,
            "exchanged": lambda rng: self._exchanged(self._drawn(rng), rng),
            "recombined": lambda rng: self._exchanged(self._recombined(self._drawn(rng), rng), rng),
            "grammar": self._grown,
            "listed": self._from_list,
        }
        wanted = {name: share for name, share in shares.model_dump().items() if share > 0}
        if not self._training:
            wanted = {name: share for name, share in wanted.items() if name in {"grammar", "listed"}}
        if not self._listed:
            wanted.pop("listed", None)
        self._names = list(wanted)
        self._shares = list(itertools.accumulate(wanted.values()))
        self._makers = makers

    @property
    def names(self) -> Sequence[str]:
        """The shares from which labels can be drawn; none where there is nothing to draw from."""
        return self._names

    def draw(self, rng: Random, refused: Counter[str]) -> tuple[str, Node] | None:
        """The share that a formula is from, and the formula; None where too many in a row could not be used.

        refused: counts why formulas could not be used.
        """
        name = self._names[bisect.bisect(self._shares, rng.random() * self._shares[-1])]
        for _ in range(MOST_TRIES):
            tree = self._makers[name](rng)
            problem = self._rules.problem(tree)
            if problem is None:
                return name, tree
            refused[problem] += 1
        return None

    def _drawn(self, rng: Random) -> Node:
        at = bisect.bisect(self._cumulative, rng.random() * self._cumulative[-1])
        return self._training[at][0]

    def _from_list(self, rng: Random) -> Node:
        return tree_of(rng.choice(self._listed))

    def _grown(self, rng: Random) -> Node:
        rules = self._rules
        return expression(rng, min_tokens=rules.min_tokens, max_tokens=rules.max_tokens, max_depth=self._max_depth)

    def _exchanged(self, tree: Node, rng: Random) -> Node:
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
        others = self._symbols.get(token)
        if others is None or rng.random() > _EXCHANGED:
            return token
        tokens, cumulative = others
        return tokens[bisect.bisect(cumulative, rng.random() * cumulative[-1])]

    def _recombined(self, tree: Node, rng: Random) -> Node:
        """The formula with one of its parts exchanged for a part of another formula."""
        places = [part for _, part in _iter_parts(tree)]
        if not places:
            return tree
        old = rng.choice(places)
        kinds = [kind for kind, part in _iter_parts(tree) if part is old]
        new = rng.choice(self._parts[kinds[0]])
        return replaced(tree, old, new)


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
    found = {}
    for group in ALIKE:
        there = [token for token in group if counts[token]]
        weights = list(itertools.accumulate(counts[token] ** 0.6 for token in there))
        found |= {token: (there, weights) for token in there if len(there) > 1}
    return found


def _parts(trees: Iterable[Node]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for tree in trees:
        for kind, part in _iter_parts(tree):
            found.setdefault(kind, []).append(part)
    return found


def _iter_parts(node: Node) -> Iterable[tuple[str, Node]]:
    """Parts of a formula with the place that each fills: what stands in one may stand in another of its kind."""
    match node:
        case Row(items):
            for item in items:
                if not isinstance(item, Symbol):
                    yield "item", item
                yield from _iter_parts(item)
        case Scripts(base, sub, sup):
            yield from _iter_parts(base)
            if isinstance(base, Symbol) and base.token.startswith("\\"):
                return  # limits belong to their operator
            for kind, script in (("sub", sub), ("sup", sup)):
                if script is not None:
                    yield kind, script
        case Fraction(numerator, denominator):
            yield "part", numerator
            yield "part", denominator
            yield from _iter_parts(numerator)
            yield from _iter_parts(denominator)
        case Root(radicand, _):
            yield "part", radicand
            yield from _iter_parts(radicand)
        case Fenced(_, body, _):
            yield "part", body
            yield from _iter_parts(body)


def replaced(node: Node, old: Node, new: Node) -> Node:
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


def mapped(node: Node, change: Callable[[Symbol], Node]) -> Node:
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


def usable_formulas(texts: Iterable[str], rules: LabelRules, refused: Counter[str]) -> list[str]:
    """Of a list of formulas those that can be composed, normalised, each once, in their order."""
    found: dict[str, None] = {}
    for text in texts:
        try:
            tree = tree_of(text)
        except UnsupportedFormulaError as error:
            refused[f"listed: {error}"] += 1
            continue
        problem = rules.problem(tree)
        if problem is None:
            found[label(tree)] = None
        else:
            refused[f"listed: {problem}"] += 1
    return list(found)
