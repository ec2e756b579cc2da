"""The label mix: labels of training inks, unchanged or changed; formulas of a grammar, of lists and with boxes."""

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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
        if not self.min_tokens <= len(tokenize_tight(text)) <= self.max_tokens:
            return "length"
        missing = sorted(set(symbols) - self.symbols)
        return f"no symbol {missing[0]}" if missing else None


def tokenize_tight(text: str) -> list[str]:
    """LaTeX tokens of a normalised label without spaces."""
    return [token for token in tokenize(text) if token != " "]


class LabelSource:
    """Draws formulas by the weights of the label mix; parts that have nothing to draw from are left out."""

    def __init__(
        self,
        *,
        training: Recombiner,
        listed: Sequence[str],
        boxed: BoxedFormulas,
        label_mix: LabelShares,
        rules: LabelRules,
    ) -> None:
        self._rules, self._boxed = rules, boxed
        makers: dict[str, tuple[int, Callable[[Random], Node | BoxedFormula]]] = {
            "copied": (len(training), training.drawn),
            "exchanged": (len(training), lambda rng: training.exchanged(training.drawn(rng), rng)),
            "recombined": (
                len(training),
                lambda rng: training.exchanged(training.recombined(training.drawn(rng), rng), rng),
            ),
            "grammar": (1, self._grown),
            "listed": (len(listed), lambda rng: tree_of(rng.choice(listed))),
            "boxes": (len(boxed), lambda rng: boxed[rng.randrange(len(boxed))]),
        }
        weights = {name: weight for name, weight in label_mix.model_dump().items() if weight > 0 and makers[name][0]}
        self._makers = {name: makers[name][1] for name in weights}
        self.names: Sequence[str] = list(weights)
        """The parts of the mix from which labels can be drawn."""
        self._cumulative = list(itertools.accumulate(weights.values()))

    def draw(self, rng: Random, refused: Counter[str]) -> DrawnLabel | None:
        """Draw a formula; None if too many in a row could not be used, for reasons counted in `refused`."""
        origin = self.names[bisect.bisect(self._cumulative, rng.random() * self._cumulative[-1])]
        for _ in range(MOST_TRIES):
            layout = self._makers[origin](rng)
            text, symbols = _described(layout)
            problem = self._rules.problem(text, symbols)
            if problem is None:
                return DrawnLabel(origin, text, layout)
            refused[problem] += 1
        return None

    def _grown(self, rng: Random) -> Node:
        rules = self._rules
        return expression(rng, min_tokens=rules.min_tokens, max_tokens=rules.max_tokens, max_depth=MAX_DEPTH)


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
        except UnsupportedFormulaError as error:
            refused[f"listed: {error}"] += 1
            continue
        problem = rules.problem(*_described(tree))
        if problem is None:
            usable[label(tree)] = None
        else:
            refused[f"listed: {problem}"] += 1
    return list(usable), refused
