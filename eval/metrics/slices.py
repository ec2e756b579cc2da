"""Scores of groups of samples: by length, structure, source and writer."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.eval.metrics.edits import Edits
from latexify.eval.metrics.rates import measure_rates
from latexify.eval.metrics.registry import METRICS
from latexify.eval.metrics.structure import STRUCTURES, num_lines, structures_of_each

LENGTH_BINS = ((0, 0), (1, 5), (6, 10), (11, 15), (16, 20), (21, 30), (31, 40), (41, 60), (61, None))
"""First and last number of reference symbols in each bin; the last bin is open."""
MOST_ERRORS_SHOWN = 10
MOST_LINES_SHOWN = 5
NUM_LINES = range(1, MOST_LINES_SHOWN + 1)
UNKNOWN = "unknown"


def error_by_length(edits: Edits, *, num_resamples: int, seed: int) -> list[dict[str, Any]]:
    """Build one row for each bin of LENGTH_BINS that is not empty."""
    groups = (
        (
            _bin_name(first, last),
            (edits.num_symbols >= first) & (edits.num_symbols <= (np.inf if last is None else last)),
        )
        for first, last in LENGTH_BINS
    )
    return _rows(edits, groups, column="symbols", num_resamples=num_resamples, seed=seed)


def error_by_structure(
    edits: Edits, references: Sequence[str], *, num_resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Build one row for each of STRUCTURES that occurs; a formula counts in every row that fits it."""
    structures = structures_of_each(references)
    groups = ((name, np.array([name in names for names in structures], dtype=np.bool_)) for name in STRUCTURES)
    return _rows(edits, groups, column="structure", num_resamples=num_resamples, seed=seed)


def error_by_lines(edits: Edits, references: Sequence[str], *, num_resamples: int, seed: int) -> list[dict[str, Any]]:
    """Build one row for each number of lines that occurs (rows of a matrix count); the last row holds all above."""
    counts = {latex: min(num_lines(latex), MOST_LINES_SHOWN) for latex in set(references)}
    lines = np.array([counts[latex] for latex in references], dtype=np.int64)
    groups = ((_bin_name(count, None if count == MOST_LINES_SHOWN else count), lines == count) for count in NUM_LINES)
    return _rows(edits, groups, column="lines", num_resamples=num_resamples, seed=seed)


def error_by_group(
    edits: Edits, groups: Sequence[str | None], *, column: str, num_resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Build one row for each of `groups` (of each sample; None if unknown), the largest first, named in `column`."""
    names = np.array([name or UNKNOWN for name in groups])
    values, numbers, sizes = np.unique(names, return_inverse=True, return_counts=True)
    chosen = ((str(values[i]), numbers == i) for i in np.lexsort((values, -sizes)))
    return _rows(edits, chosen, column=column, num_resamples=num_resamples, seed=seed)


def rates_by_group(edits: Edits, groups: Sequence[str], *, num_resamples: int, seed: int) -> dict[str, dict[str, Any]]:
    """Compute number of samples and rates of each of `groups` (of each sample), by name; rates have intervals."""
    metrics = [metric for metric in METRICS if metric.in_slices]
    names, rates = np.array(groups), {}
    for name in sorted(set(groups)):
        part = edits.select(names == name)
        measured = measure_rates(part.columns(), num_resamples=num_resamples, seed=seed, metrics=metrics)
        rates[name] = {"num_samples": len(part), **measured}
    return rates


def _rows(
    edits: Edits, groups: Iterable[tuple[str, npt.NDArray[np.bool_]]], *, column: str, num_resamples: int, seed: int
) -> list[dict[str, Any]]:
    """A row for each group that is not empty: its name, size and rates; a rate without a denominator is None.

    Each rate is followed by the ends of its 95 % interval, `{rate}_low` and `{rate}_high`.
    """
    metrics = [metric for metric in METRICS if metric.in_slices]
    rows = []
    for name, chosen in groups:
        if not chosen.any():
            continue
        part = edits.select(chosen)
        row: dict[str, Any] = {column: name, "num_samples": len(part)}
        rates = measure_rates(part.columns(), num_resamples=num_resamples, seed=seed, metrics=metrics)
        for rate, ends in rates.items():
            row |= {rate: ends["value"], f"{rate}_low": ends["low"], f"{rate}_high": ends["high"]}
        rows.append(row)
    return rows


def _bin_name(first: int, last: int | None) -> str:
    if last is None:
        return f"{first}+"
    return f"{first}-{last}" if first != last else f"{first}"


def length_of(num_symbols: int) -> str:
    """Name the bin of LENGTH_BINS that holds references of this many symbols."""
    return next(_bin_name(first, last) for first, last in LENGTH_BINS if last is None or num_symbols <= last)


def error_distribution(edits: Edits) -> list[dict[str, Any]]:
    """Count the samples with 0, 1, 2 … token errors (spaces left out); the last row holds all above."""
    capped = np.minimum(edits.symbol_errors, MOST_ERRORS_SHOWN)
    counts = np.bincount(capped, minlength=MOST_ERRORS_SHOWN + 1).tolist()
    labels = [*map(str, range(MOST_ERRORS_SHOWN)), f"{MOST_ERRORS_SHOWN}+"]
    return [{"token_errors": label, "num_samples": count} for label, count in zip(labels, counts, strict=True)]


def source_of(key: str) -> str:
    """Return the folder a sample came from: its key without the last part. Percent-encoded names stay encoded."""
    return key.rpartition("/")[0] or UNKNOWN
