"""Bootstrap confidence intervals: how much a rate would change if other samples were drawn from the same source.

Samples with equal counts are interchangeable, so a resample is one draw from a multinomial over the distinct rows of
counts. This has the same distribution as drawing samples one by one, but its cost hardly grows with their number.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Column = npt.NDArray[np.integer] | npt.NDArray[np.floating] | npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

LEVEL = 0.95
MAX_GROUPS = 20_000
"""Maximum number of distinct rows; above it, this many blocks of randomly chosen samples are resampled instead."""
MAX_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Difference between two systems' rates on the same samples: `value`, with its 95 % interval."""

    value: float
    low: float
    high: float
    p_value: float  # two-sided; small if the sign of the difference rarely changes between resamples


def ratio_interval(over: Column, under: Column, *, num_resamples: int, seed: int) -> tuple[float, float] | None:
    """Compute the 95 % percentile bootstrap interval (Efron 1979) of sum(over) / sum(under), both [num_samples].

    Resamples whose denominator is 0 (only empty references) are left out; None if all are.
    """
    totals = resampled_totals(np.stack([over, under], axis=1), num_resamples=num_resamples, seed=seed)
    defined = totals[:, 1] > 0
    return _percentiles(totals[defined, 0] / totals[defined, 1]) if defined.any() else None


def paired_difference(first: Column, second: Column, under: Column, *, num_resamples: int, seed: int) -> Difference:
    """Compute the paired bootstrap of sum(second) / sum(under) - sum(first) / sum(under), all [num_samples].

    Both systems are resampled together (Koehn, "Statistical significance tests for machine translation evaluation",
    EMNLP 2004). The p-value is twice the share of resamples on the other side of zero, ties included. The observed
    samples count as a resample, so that it is never zero (Davison & Hinkley, "Bootstrap methods and their
    application", 1997, section 4.2.3). At least one denominator must be positive.
    """
    gains = second.astype(np.float64) - first.astype(np.float64)
    totals = resampled_totals(np.stack([gains, under], axis=1), num_resamples=num_resamples, seed=seed)
    defined = totals[:, 1] > 0
    differences = totals[defined, 0] / totals[defined, 1]
    low, high = _percentiles(differences)
    tail = int(min(np.count_nonzero(differences <= 0), np.count_nonzero(differences >= 0)))
    p_value = min(1.0, 2 * (tail + 1) / (len(differences) + 1))
    value = float(gains.sum() / under.sum(dtype=np.float64))
    return Difference(value=value, low=low, high=high, p_value=p_value)


def resampled_totals(rows: npt.NDArray[np.generic], *, num_resamples: int, seed: int) -> Float64:
    """Sum `rows` ([num_samples, num_columns]) over resamples drawn with replacement.

    Returns float64 [num_resamples, num_columns]; sums of integers are exact below 2**53. The order of the rows does not
    matter unless there are more than MAX_GROUPS distinct ones.
    """
    rng = np.random.default_rng(seed)
    values, times = _groups(rows.astype(np.float64))
    if len(values) > MAX_GROUPS:
        values, times = _blocks(rows.astype(np.float64), rng=rng), np.ones(MAX_GROUPS, dtype=np.int64)
    num_draws = int(times.sum())
    shares = times / num_draws
    at_once = max(1, MAX_DRAWS_AT_ONCE // len(values))
    blocks = [
        rng.multinomial(num_draws, shares, size=min(at_once, num_resamples - start)).astype(np.float64) @ values
        for start in range(0, num_resamples, at_once)
    ]
    return np.concatenate(blocks)


def _groups(rows: Float64) -> tuple[Float64, npt.NDArray[np.int64]]:
    """The distinct rows in ascending order, and how often each occurs."""
    names = [str(column) for column in range(rows.shape[1])]
    table = pa.table(dict(zip(names, rows.T.copy(), strict=True)))
    counted = table.group_by(names, use_threads=False).aggregate([([], "count_all")])
    values = np.stack([counted[name].to_numpy() for name in names], axis=1)
    times = counted["count_all"].to_numpy()
    order = np.lexsort(values.T[::-1])
    return values[order], times[order]


def _blocks(rows: Float64, *, rng: np.random.Generator) -> Float64:
    """Sums of MAX_GROUPS blocks to which the samples are assigned at random.

    Samples are independent, so sums over resampled blocks vary as sums over resampled samples do.
    """
    block_of = rng.permutation(len(rows)) % MAX_GROUPS
    return np.stack([np.bincount(block_of, weights=column, minlength=MAX_GROUPS) for column in rows.T], axis=1)


def _percentiles(values: Float64) -> tuple[float, float]:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
