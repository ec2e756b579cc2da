"""Confidence intervals: how much a score would change had other samples been drawn from the same source.

Samples with equal counts are alike to a bootstrap, so a resample is one draw from a multinomial over the different rows
of counts: exactly what drawing samples one by one gives, but its cost hardly grows with the number of samples.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.eval.metrics.edits import COUNTS, RATES, Edits

Column = npt.NDArray[np.integer] | npt.NDArray[np.floating] | npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

LEVEL = 0.95
MAX_GROUPS = 20_000
"""Different rows of counts; where there are more, that many blocks of randomly chosen samples are resampled instead."""
MAX_DRAWS_AT_ONCE = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How far one system's rate is from another's on the same samples: `value`, with its 95 % interval.

    p_value: two-sided; small where the sign of the difference hardly ever changes between resamples.
    """

    value: float
    low: float
    high: float
    p_value: float


def intervals(edits: Edits, *, num_resamples: int, seed: int) -> dict[str, tuple[float, float] | None]:
    """Interval of each rate in RATES, at 95 %; None where there is nothing to divide by."""
    counts = dict(zip(COUNTS, edits.counts().T, strict=True))
    return {
        name: ratio_interval(counts[over], counts[under], num_resamples=num_resamples, seed=seed)
        for name, (over, under) in RATES.items()
    }


def ratio_interval(over: Column, under: Column, *, num_resamples: int, seed: int) -> tuple[float, float] | None:
    """Percentile bootstrap over samples (Efron 1979) of sum(over) / sum(under): (low, high) at 95 %.

    over, under: [num_samples]. Resamples that happen to hold nothing to divide by (only empty references) say nothing
    of a rate and are left out; None where all do.
    """
    totals = resampled_totals(np.stack([over, under], axis=1), num_resamples=num_resamples, seed=seed)
    defined = totals[:, 1] > 0
    return _percentiles(totals[defined, 0] / totals[defined, 1]) if defined.any() else None


def paired_difference(first: Column, second: Column, under: Column, *, num_resamples: int, seed: int) -> Difference:
    """Paired bootstrap of sum(second) / sum(under) - sum(first) / sum(under), over the same samples [num_samples].

    Both systems are resampled together (Koehn, "Statistical significance tests for machine translation evaluation",
    EMNLP 2004). p_value: twice the share of resamples on the other side of zero, ties included, the observed samples
    counted among them so that it is never zero (Davison & Hinkley, "Bootstrap methods and their application", 1997,
    section 4.2.3). At least one of `under` must be positive.
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
    """Sums of `rows` ([num_samples, num_columns]) over resamples drawn with replacement.

    Returns float64 [num_resamples, num_columns]; of whole numbers exact below 2**53. The same for any order of the
    rows, unless there are more than MAX_GROUPS different ones.
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
    """The different rows, in ascending order, and how often each is there."""
    names = [str(column) for column in range(rows.shape[1])]
    table = pa.table(dict(zip(names, rows.T.copy(), strict=True)))
    counted = table.group_by(names, use_threads=False).aggregate([([], "count_all")])
    values = np.stack([counted[name].to_numpy() for name in names], axis=1)
    times = counted["count_all"].to_numpy()
    order = np.lexsort(values.T[::-1])
    return values[order], times[order]


def _blocks(rows: Float64, *, rng: np.random.Generator) -> Float64:
    """Sums of MAX_GROUPS blocks that the samples are dealt to at random.

    Samples are independent, so the sum over resampled blocks varies as that over resampled samples does.
    """
    places = rng.permutation(len(rows)) % MAX_GROUPS
    return np.stack([np.bincount(places, weights=column, minlength=MAX_GROUPS) for column in rows.T], axis=1)


def _percentiles(values: Float64) -> tuple[float, float]:
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
