"""The rates of the registry, computed from columns of counts, with 95 % intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from latexify.eval.metrics.bootstrap import Column, Difference, paired_difference, ratio_interval
from latexify.eval.metrics.mcnemar import exact_p_value
from latexify.eval.metrics.registry import METRICS, Metric

Columns = Mapping[str, Column]  # columns of counts by name, each [num_samples]
Rate = dict[str, float | None]  # `value`, `low` and `high`; None where nothing is there to divide by


def measure_rates(
    columns: Columns, *, num_resamples: int, seed: int, metrics: Iterable[Metric] = METRICS
) -> dict[str, Rate]:
    """Compute every metric whose columns are given, with its 95 % bootstrap interval."""
    rates: dict[str, Rate] = {}
    for metric in metrics:
        if metric.numerator in columns and metric.denominator in columns:
            over, under = columns[metric.numerator], columns[metric.denominator]
            low, high = ratio_interval(over, under, num_resamples=num_resamples, seed=seed) or (None, None)
            total = float(under.sum())
            rates[metric.name] = {"value": float(over.sum()) / total if total else None, "low": low, "high": high}
    return rates


def rate_differences(first: Columns, other: Columns, *, num_resamples: int, seed: int) -> dict[str, Difference]:
    """Compute by how much each rate of `other` exceeds that of `first`, on the same samples in the same order.

    Where a sample counts 0 or 1, the p-value is that of the exact test of McNemar, else that of the paired bootstrap.
    """
    differences: dict[str, Difference] = {}
    for metric in METRICS:
        if not {metric.numerator, metric.denominator} <= first.keys() & other.keys():
            continue
        over, other_over, under = first[metric.numerator], other[metric.numerator], first[metric.denominator]
        if under.any():
            found = paired_difference(over, other_over, under, num_resamples=num_resamples, seed=seed)
            if metric.counts_samples:
                found = replace(found, p_value=exact_p_value(over, other_over))
            differences[metric.name] = found
    return differences
