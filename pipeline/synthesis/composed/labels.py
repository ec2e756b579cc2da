"""The label mix: labels of training inks, unchanged or changed; formulas of a grammar, of lists and with boxes."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from random import Random
from typing import NamedTuple

from latexify.pipeline.config import LabelShares
from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.synthesis.composed.boxed import BoxedFormula, BoxedFormulas
from latexify.pipeline.synthesis.composed.formula import UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.composed.recombining import Recombiner
from latexify.pipeline.synthesis.formulas.expression import Node, Symbol, label
from latexify.pipeline.synthesis.formulas.generator import expression
from latexify.pipeline.synthesis.formulas.lines import several_lines
from latexify.pipeline.synthesis.formulas.symbols import FRACTION_BAR, RADICAL

MOST_TRIES = 50
"""Unusable labels in a row before another part of the mix is tried for an ink."""
MAX_DEPTH = 2
"""Nesting of the grammar's formulas."""
MOST_LINES = 4
"""Parts that the tokens of a formula of several lines are divided into."""
_COMMON = 10
"""Occurrences in labels from which a symbol is written alone, too."""
_TRAINING_SYMBOLS = 0.5
"""Fraction of the lone symbols that are drawn from training labels, as often as they occur there."""
_OTHER_PARTS = frozenset(["boxes", "several_lines", "symbols"])
"""Parts of the mix that no line of several is drawn from."""
_NEVER_ALONE = frozenset([FRACTION_BAR, RADICAL])
"""Glyphs that are no formula by themselves."""


class DrawnLabel(NamedTuple):
    """A formula to write. origin: its part of the mix. label: normalised. layout: its tree, or its boxes."""

    origin: str
    label: str
    layout: Node | BoxedFormula


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """Limits of a label: its number of tokens, the symbols that it may hold, and forbidden labels."""

    min_tokens: int
    max_tokens: int
    symbols: frozenset[str]
    forbidden: frozenset[str]

    def problem(self, text: str, symbols: Iterable[str]) -> str | None:
        """Why a formula of this label and these symbols cannot be used; None if it can."""
        if normalize(text) != text:
            return "not in normal form"
        if text in self.forbidden:
            return "held-out label"
        if not self.min_tokens <= sum(token != " " for token in tokenize(text)) <= self.max_tokens:
            return "length"
        missing = sorted(set(symbols) - self.symbols)
        return f"no symbol {missing[0]}" if missing else None


@dataclass(frozen=True, kw_only=True)
class LabelSource:
    """Draws formulas by the weights of the label mix."""

    training: Recombiner
    listed: Sequence[str]
    boxed: BoxedFormulas
    label_mix: LabelShares
    rules: LabelRules

    @cached_property
    def weights(self) -> Mapping[str, float]:
        """Cumulative weights of the parts of the mix that have something to draw from."""
        counts = dict.fromkeys(("copied", "exchanged", "recombined"), len(self.training))
        counts |= {"grammar": 1, "listed": len(self.listed), "boxes": len(self.boxed)}
        counts |= {"several_lines": 1, "symbols": bool(self.label_mix.symbols and self._lone_symbols)}
        weights = {name: weight for name, weight in self.label_mix.model_dump().items() if weight > 0 and counts[name]}
        return dict(zip(weights, itertools.accumulate(weights.values()), strict=True))

    def draw(self, rng: Random, refused: Counter[str]) -> DrawnLabel | None:
        """Draw a formula; None if too many in a row could not be used, for reasons counted in `refused`."""
        origin = rng.choices(list(self.weights), cum_weights=list(self.weights.values()))[0]
        if origin == "symbols":  # no formulas that could be known by heart, so never held out
            symbol = self._symbol(rng)
            return DrawnLabel(origin, symbol.token, symbol)
        for _ in range(MOST_TRIES):
            layout = self._make(origin, rng)
            text, symbols = _described(layout)
            problem = self.rules.problem(text, symbols)
            if problem is None:
                return DrawnLabel(origin, text, layout)
            refused[problem] += 1
        return None

    def _make(self, origin: str, rng: Random) -> Node | BoxedFormula:
        if origin == "boxes":
            return self.boxed[rng.randrange(len(self.boxed))]
        if origin == "several_lines":
            return several_lines(rng, partial(self._short_line, rng))
        return self._one_line(origin, rng)

    def _one_line(self, origin: str, rng: Random) -> Node:
        rules, training = self.rules, self.training
        if origin == "grammar":
            return expression(rng, min_tokens=rules.min_tokens, max_tokens=rules.max_tokens, max_depth=MAX_DEPTH)
        if origin == "listed":
            return tree_of(rng.choice(self.listed))
        tree = training.drawn(rng)
        if origin == "recombined":
            tree = training.recombined(tree, rng)
        return tree if origin == "copied" else training.exchanged(tree, rng)

    @cached_property
    def _lone_symbols(self) -> Sequence[Symbol]:
        """The symbols of the other parts: symbol files have hundreds more that look like these, and are hardly used."""
        counts = Counter(token for text in (*self.training.labels, *self.listed) for token in tokenize(text))
        common = {token for token, count in counts.items() if count >= _COMMON} or set(counts)
        usable = (self.rules.symbols & common) - _NEVER_ALONE
        return [Symbol(token) for token in sorted(usable) if normalize(token) == token]

    def _symbol(self, rng: Random) -> Symbol:
        if len(self.training) and rng.random() < _TRAINING_SYMBOLS:
            written = Symbol(rng.choice(leaves(self.training.drawn(rng))).token)
            if written in self._lone_symbols:
                return written
        return rng.choice(self._lone_symbols)

    def _short_line(self, rng: Random) -> Node:
        """Draw one line of several, of a length that leaves room for the others."""
        shares = {name: getattr(self.label_mix, name) for name in self.weights if name not in _OTHER_PARTS}
        parts, weights = list(shares) or ["grammar"], list(shares.values()) or [1.0]
        most = max(1, self.rules.max_tokens // MOST_LINES)
        for _ in range(MOST_TRIES):
            line = self._one_line(rng.choices(parts, weights)[0], rng)
            if sum(token != " " for token in tokenize(label(line))) <= most:
                return line
        return expression(rng, min_tokens=1, max_tokens=most, max_depth=MAX_DEPTH)


def _described(layout: Node | BoxedFormula) -> tuple[str, Iterable[str]]:
    """Label and symbols."""
    if isinstance(layout, BoxedFormula):
        return layout.label, [box.token for box in layout.boxes]
    return label(layout), [leaf.token for leaf in leaves(layout)]


def usable_formulas(texts: Iterable[str], rules: LabelRules) -> tuple[list[str], Counter[str]]:
    """The formulas that can be composed, normalised, each once, in order; and counts of reasons for the others."""
    usable: dict[str, None] = {}
    refused: Counter[str] = Counter()
    for text in texts:
        try:
            tree = tree_of(text)
            problem = rules.problem(*_described(tree))
        except UnsupportedFormulaError as error:
            problem = str(error)
        if problem is None:
            usable[label(tree)] = None
        else:
            refused[f"listed: {problem}"] += 1
    return list(usable), refused
