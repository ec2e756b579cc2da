"""The score of not looking: one and the same answer for every ink."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

MAX_COMPARISONS = 100_000_000
"""Pairs of strings compared at most: every candidate for about 10,000 distinct labels."""
CANDIDATES_AT_ONCE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantAnswer:
    """The best answer that ignores its input.

    is_exact: no other candidate can be better; False where the search ended at its limit.
    """

    answer: str
    char_errors: int
    num_chars: int
    is_exact: bool

    @property
    def cer(self) -> float:
        """Edits over reference characters."""
        return self.char_errors / self.num_chars


def best_constant_answer(
    references: Sequence[str], *, candidates: Iterable[str] | None = None, max_comparisons: int = MAX_COMPARISONS
) -> ConstantAnswer:
    """The string that, given for every reference, needs the fewest character edits.

    It is chosen with the references in view, so it is the strongest such baseline: a model that cannot beat it has not
    learnt to look. candidates: the answers to choose from; the distinct references where not given.

    Candidates are tried in order of a lower bound (the differences in length alone), which ends the search as soon as
    no candidate left can win. At least one reference must hold a character.
    """
    times = Counter(references)
    texts = sorted(times)
    weights = np.array([times[text] for text in texts], dtype=np.int64)
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    ordered, bounds = _by_lower_bound(sorted(set(texts if candidates is None else candidates)), lengths, weights)
    best, fewest = "", int(lengths @ weights)  # the empty answer deletes nothing and misses everything
    tried, budget = 0, max(CANDIDATES_AT_ONCE, max_comparisons // len(texts))
    while tried < min(len(ordered), budget) and bounds[tried] < fewest:
        block = ordered[tried : tried + CANDIDATES_AT_ONCE]
        errors = process.cdist(block, texts, scorer=Levenshtein.distance, dtype=np.int32) @ weights
        winner = int(errors.argmin())
        if errors[winner] < fewest:
            best, fewest = block[winner], int(errors[winner])
        tried += len(block)
    is_exact = tried >= len(ordered) or bool(bounds[tried] >= fewest)
    return ConstantAnswer(answer=best, char_errors=fewest, num_chars=int(lengths @ weights), is_exact=is_exact)


def _by_lower_bound(
    candidates: list[str], lengths: npt.NDArray[np.int64], weights: npt.NDArray[np.int64]
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Candidates and what each costs at least, cheapest first; equal ones stay in alphabetical order."""
    cost_of_length = {length: int(np.abs(lengths - length) @ weights) for length in {len(text) for text in candidates}}
    costs = np.array([cost_of_length[len(text)] for text in candidates], dtype=np.int64)
    order = np.argsort(costs, kind="stable")
    return [candidates[index] for index in order], costs[order]
