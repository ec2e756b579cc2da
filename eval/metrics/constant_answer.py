"""The best constant answer: the lowest error rate of a model that ignores its input."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

MAX_COMPARISONS = 100_000_000
"""Maximum pairs of strings to compare (a few seconds): enough for 10,000 distinct labels against each other."""
SHORTLIST_COMPARISONS = 20_000_000  # the maximum where comparing all of them would exceed MAX_COMPARISONS
CANDIDATES_AT_ONCE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantAnswer:
    """The best answer that ignores its input."""

    answer: str
    cer: float  # edits over reference characters
    is_exact: bool  # whether every candidate was compared with every reference; False if there were too many


def best_constant_answer(
    references: Sequence[str], *, candidates: Iterable[str] | None = None, max_comparisons: int = MAX_COMPARISONS
) -> ConstantAnswer:
    """Find the string that needs the fewest character edits if it is given for every reference.

    It is chosen with knowledge of the references, of which at least one must contain a character. A model that does
    not beat it has learned nothing from the image. Candidates are the distinct references if None. If there are more
    than `max_comparisons` pairs, evenly spaced references select a shortlist of candidates, which is then compared
    with all references.
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
    num_chars = sum(map(len, references))
    return ConstantAnswer(answer=shortlist[best], cer=int(costs[best]) / num_chars, is_exact=is_exact)


def _costs(candidates: Sequence[str], times: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Character edits of each candidate over all texts, weighted by `times`: int64 [num_candidates]."""
    texts, weights = list(times), np.array(list(times.values()), dtype=np.int64)
    starts = range(0, len(candidates), CANDIDATES_AT_ONCE)
    blocks = (candidates[start : start + CANDIDATES_AT_ONCE] for start in starts)
    return np.concatenate(
        [process.cdist(block, texts, scorer=Levenshtein.distance, dtype=np.int32) @ weights for block in blocks]
    )
