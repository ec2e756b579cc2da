"""Scores of parts of the samples: by length, by structure, by source, by writer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.eval.metrics.bootstrap import ratio_interval
from latexify.eval.metrics.edits import COUNTS, RATES, Edits
from latexify.eval.metrics.structure import STRUCTURES, table_of

LENGTH_BINS = ((0, 0), (1, 5), (6, 10), (11, 15), (16, 20), (21, 30), (31, 40), (41, 60), (61, None))
"""Symbols of a reference, first and last of each bin; the last bin is open."""
MOST_ERRORS_SHOWN = 10
SHOWN = ("cer", "token_cer", "exact_match")
"""Rates of a slice."""
UNKNOWN = "unknown"

Chosen = npt.NDArray[np.bool_]


def slice_row(edits: Edits, chosen: Chosen, *, num_resamples: int = 0, seed: int = 0) -> dict[str, Any]:
    """Number of samples and the rates in SHOWN of the chosen ones; a rate without a denominator is None.

    With `num_resamples`, each rate is followed by the ends of its 95 % interval, `{rate}_low` and `{rate}_high`.
    """
    part = edits.select(chosen)
    score = part.score()
    rates = score.rates()
    if not num_resamples:
        return {"num_samples": score.num_samples, **{name: rates[name] for name in SHOWN}}
    row: dict[str, Any] = {"num_samples": score.num_samples}
    counts = dict(zip(COUNTS, part.counts().T, strict=True))
    for name in SHOWN:
        over, under = RATES[name]
        bounds = ratio_interval(counts[over], counts[under], num_resamples=num_resamples, seed=seed)
        low, high = bounds or (None, None)
        row.update({name: rates[name], f"{name}_low": low, f"{name}_high": high})
    return row


def error_by_length(edits: Edits, *, num_resamples: int = 0, seed: int = 0) -> list[dict[str, Any]]:
    """One row for each bin of LENGTH_BINS that holds samples."""
    rows = []
    for first, last in LENGTH_BINS:
        in_bin = (edits.num_symbols >= first) & (edits.num_symbols <= (np.inf if last is None else last))
        if in_bin.any():
            rows.append(
                {"symbols": _bin_name(first, last), **slice_row(edits, in_bin, num_resamples=num_resamples, seed=seed)}
            )
    return rows


def _bin_name(first: int, last: int | None) -> str:
    if last is None:
        return f"{first}+"
    return f"{first}-{last}" if first != last else f"{first}"


def length_of(num_symbols: int) -> str:
    """The name of the bin of LENGTH_BINS that a reference of so many symbols is in."""
    return next(
        _bin_name(first, last)
        for first, last in LENGTH_BINS
        if first <= num_symbols and (last is None or num_symbols <= last)
    )


def error_by_structure(
    edits: Edits, references: Sequence[str], *, num_resamples: int = 0, seed: int = 0
) -> list[dict[str, Any]]:
    """One row for each of STRUCTURES that a reference has; a formula counts in every row that fits it."""
    found = table_of(references)
    rows = []
    for name in STRUCTURES:
        has_it = np.fromiter((name in names for names in found), dtype=np.bool_, count=len(found))
        if has_it.any():
            rows.append({"structure": name, **slice_row(edits, has_it, num_resamples=num_resamples, seed=seed)})
    return rows


def error_by_group(
    edits: Edits, groups: Sequence[str | None], *, column: str, num_resamples: int = 0, seed: int = 0
) -> list[dict[str, Any]]:
    """One row for each name in `groups` (one for each sample, None where unknown), the largest group first."""
    names = np.array([name or UNKNOWN for name in groups])
    values, numbers, sizes = np.unique(names, return_inverse=True, return_counts=True)
    return [
        {column: str(values[place]), **slice_row(edits, numbers == place, num_resamples=num_resamples, seed=seed)}
        for place in np.lexsort((values, -sizes))
    ]


def error_distribution(edits: Edits) -> list[dict[str, Any]]:
    """How many samples have 0, 1, 2 … token errors (spaces left out); the last row holds all beyond."""
    capped = np.minimum(edits.symbol_errors, MOST_ERRORS_SHOWN)
    counts = np.bincount(capped, minlength=MOST_ERRORS_SHOWN + 1).tolist()
    labels = [*map(str, range(MOST_ERRORS_SHOWN)), f"{MOST_ERRORS_SHOWN}+"]
    return [{"token_errors": label, "num_samples": count} for label, count in zip(labels, counts, strict=True)]


def source_of(key: str) -> str:
    """The folder that a sample came from: its key without the last part. Percent-encoded names stay so."""
    return key.rpartition("/")[0] or UNKNOWN
