"""Work on many formulas in several processes."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

FORMULAS_AT_ONCE = 32
"""Formulas that a worker gets in one call: to typeset them takes about half a second."""


def for_each_formula(
    work: Callable[[Sequence[str]], dict[str, T]], formulas: Iterable[str], *, jobs: int
) -> dict[str, T]:
    """Return what `work` makes of each distinct formula, by formula, in their order.

    `work` gets some formulas at a time, in one of at most `jobs` processes.
    """
    from joblib import Parallel, delayed  # noqa: PLC0415  # the service typesets single formulas without it

    distinct = list(dict.fromkeys(formulas))
    blocks = [distinct[start : start + FORMULAS_AT_ONCE] for start in range(0, len(distinct), FORMULAS_AT_ONCE)]
    num_processes = max(1, min(jobs, len(blocks)))  # starting more than there is work for takes seconds
    results = Parallel(n_jobs=num_processes, return_as="generator")(delayed(work)(block) for block in blocks)
    return {latex: result for found in results for latex, result in found.items()}
