"""Confidence intervals: how much a score would change had other samples been drawn from the same source."""

import numpy as np
import numpy.typing as npt

from eval.metrics import COUNTS, RATES, Edits

LEVEL = 0.95
MAX_DRAWS_AT_ONCE = 4_000_000


def intervals(edits: Edits, *, num_resamples: int, seed: int) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap over samples (Efron 1979): (low, high) of each rate in RATES, at 95 %.

    Resamples that happen to hold nothing to divide by (only empty references) say nothing of a rate and are left out.
    """
    totals = resampled_totals(edits.counts(), num_resamples=num_resamples, seed=seed)
    tail = 100 * (1 - LEVEL) / 2
    bounds = {}
    for name, (over, under) in RATES.items():
        numerator, denominator = totals[:, COUNTS.index(over)], totals[:, COUNTS.index(under)]
        defined = denominator > 0
        low, high = np.percentile(numerator[defined] / denominator[defined], [tail, 100 - tail])
        bounds[name] = (float(low), float(high))
    return bounds


def resampled_totals(counts: npt.NDArray[np.int64], *, num_resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """Sums of `counts` (int64 [num_samples, num_counts]) over resamples drawn with replacement.

    Returns float64 [num_resamples, num_counts] of whole numbers: exact below 2**53, whatever the order of addition.
    """
    num_samples = len(counts)
    rng = np.random.default_rng(seed)
    per_block = max(1, MAX_DRAWS_AT_ONCE // num_samples)
    blocks = []
    for start in range(0, num_resamples, per_block):
        num_rows = min(per_block, num_resamples - start)
        drawn = rng.integers(num_samples, size=(num_rows, num_samples))
        cells = drawn + num_samples * np.arange(num_rows)[:, None]
        times = np.bincount(cells.ravel(), minlength=num_rows * num_samples).reshape(num_rows, num_samples)
        blocks.append(times.astype(np.float64) @ counts.astype(np.float64))
    return np.concatenate(blocks)
