"""The score of not looking: one and the same answer for every ink."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

MAX_COMPARISONS = 100_000_000
"""Pairs of strings compared at most, in a few seconds: enough to try each of 10,000 distinct labels on all others."""
SHORTLIST_COMPARISONS = 20_000_000
"""The same where they are too many to try each on all."""
CANDIDATES_AT_ONCE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantAnswer:
    """The best answer that ignores its input.

    is_exact: every candidate was tried on every reference; False where there were too many for that.
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

    Where there are too many pairs, an evenly spread part of the references chooses the candidates that are tried on
    all. At least one reference must hold a character.
    """
    times = Counter(references)
    shortlist = sorted(set(times if candidates is None else candidates) | {""})
    is_exact = len(shortlist) * len(times) <= max_comparisons
    if not is_exact:
        half = max(1, min(max_comparisons, SHORTLIST_COMPARISONS) // 2)
        step = -(-len(references) * len(shortlist) // half)
        estimates = _costs(shortlist, Counter(sorted(references)[::step]))
        kept = np.argsort(estimates, kind="stable")[: max(1, half // len(times))]
        shortlist = [shortlist[index] for index in sorted(kept.tolist())]
    costs = _costs(shortlist, times)
    best = int(costs.argmin())
    return ConstantAnswer(
        answer=shortlist[best],
        char_errors=int(costs[best]),
        num_chars=sum(len(text) * count for text, count in times.items()),
        is_exact=is_exact,
    )


def _costs(candidates: Sequence[str], times: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Character edits of each candidate as the answer to every text, so many times each: int64 [num_candidates]."""
    texts, weights = list(times), np.array(list(times.values()), dtype=np.int64)
    blocks = [
        process.cdist(
            candidates[start : start + CANDIDATES_AT_ONCE], texts, scorer=Levenshtein.distance, dtype=np.int32
        )
        @ weights
        for start in range(0, len(candidates), CANDIDATES_AT_ONCE)
    ]
    return np.concatenate(blocks)
