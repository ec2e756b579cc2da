"""The label mix: labels of training inks, unchanged or changed; formulas of a grammar, of lists and with boxes."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import NamedTuple

from latexify.pipeline.config import LabelShares
from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.synthesis.composed.boxed import BoxedFormula, BoxedFormulas
from latexify.pipeline.synthesis.composed.formula import UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.composed.recombining import Recombiner
from latexify.pipeline.synthesis.formulas.expression import Node, label
from latexify.pipeline.synthesis.formulas.generator import expression

MOST_TRIES = 50
"""Unusable labels in a row before another part of the mix is tried for an ink."""
MAX_DEPTH = 2
"""Nesting of the grammar's formulas."""


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
        weights = {name: weight for name, weight in self.label_mix.model_dump().items() if weight > 0 and counts[name]}
        return dict(zip(weights, itertools.accumulate(weights.values()), strict=True))

    def draw(self, rng: Random, refused: Counter[str]) -> DrawnLabel | None:
        """Draw a formula; None if too many in a row could not be used, for reasons counted in `refused`."""
        origin = rng.choices(list(self.weights), cum_weights=list(self.weights.values()))[0]
        for _ in range(MOST_TRIES):
            layout = self._make(origin, rng)
            text, symbols = _described(layout)
            problem = self.rules.problem(text, symbols)
            if problem is None:
                return DrawnLabel(origin, text, layout)
            refused[problem] += 1
        return None

    def _make(self, origin: str, rng: Random) -> Node | BoxedFormula:
        rules, training = self.rules, self.training
        if origin == "grammar":
            return expression(rng, min_tokens=rules.min_tokens, max_tokens=rules.max_tokens, max_depth=MAX_DEPTH)
        if origin == "listed":
            return tree_of(rng.choice(self.listed))
        if origin == "boxes":
            return self.boxed[rng.randrange(len(self.boxed))]
        tree = training.drawn(rng)
        if origin == "recombined":
            tree = training.recombined(tree, rng)
        return tree if origin == "copied" else training.exchanged(tree, rng)


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
