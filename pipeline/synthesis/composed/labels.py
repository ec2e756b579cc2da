"""What is written: labels of training inks, as they are and changed; a grammar's; listed and boxed formulas."""

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
from latexify.pipeline.synthesis.formulas.grammar import expression

MOST_TRIES = 50
"""Labels in a row that may be unusable before the share that they come from is given up for one ink."""
MAX_DEPTH = 2
"""How deep the grammar's formulas nest."""


class Drawn(NamedTuple):
    """A formula to write. share: where it is from. label: normalised. layout: its tree, or its boxes."""

    share: str
    label: str
    layout: Node | BoxedFormula


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """What a label must keep to: its number of tokens, its symbols, and what it must not be."""

    min_tokens: int
    max_tokens: int
    symbols: frozenset[str]
    forbidden: frozenset[str]

    def problem(self, text: str, symbols: Iterable[str]) -> str | None:
        """Why a formula of this label and these symbols cannot be used, None where it can."""
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
    """Draws formulas in the shares asked for; a share that has nothing to draw from is left out."""

    def __init__(
        self,
        *,
        training: Recombiner,
        listed: Sequence[str],
        boxed: BoxedFormulas,
        shares: LabelShares,
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
        wanted = {name: share for name, share in shares.model_dump().items() if share > 0 and makers[name][0]}
        self._makers = {name: makers[name][1] for name in wanted}
        self.names: Sequence[str] = list(wanted)
        """The shares from which labels can be drawn."""
        self._cumulative = list(itertools.accumulate(wanted.values()))

    def draw(self, rng: Random, refused: Counter[str]) -> Drawn | None:
        """A formula of a share drawn by chance; None where too many in a row could not be used.

        refused: counts why formulas could not be used.
        """
        share = self.names[bisect.bisect(self._cumulative, rng.random() * self._cumulative[-1])]
        for _ in range(MOST_TRIES):
            layout = self._makers[share](rng)
            text, symbols = _described(layout)
            problem = self._rules.problem(text, symbols)
            if problem is None:
                return Drawn(share, text, layout)
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
    """Of these formulas those that can be composed, normalised, each once, in their order; and why others cannot."""
    found: dict[str, None] = {}
    refused: Counter[str] = Counter()
    for text in texts:
        try:
            tree = tree_of(text)
        except UnsupportedFormulaError as error:
            refused[f"listed: {error}"] += 1
            continue
        problem = rules.problem(*_described(tree))
        if problem is None:
            found[label(tree)] = None
        else:
            refused[f"listed: {problem}"] += 1
    return list(found), refused
