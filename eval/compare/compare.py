"""Comparison of several systems on the same samples: matching their rows, and formatting the result."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from latexify.common.errors import LatexifyError
from latexify.eval.compare.columns import Pairs
from latexify.eval.metrics.registry import METRICS
from latexify.eval.score.summary import describe_samples


def align(first: Pairs, other: Pairs, *, names: tuple[str, str]) -> Pairs:
    """Bring the rows of `other` into the order of `first`: joined by key if both have keys, else row by row.

    Raises LatexifyError, with the names of both, if they do not have the same samples.
    """
    first_name, other_name = names
    if (first.keys is None) != (other.keys is None):
        without = first_name if first.keys is None else other_name
        raise LatexifyError(
            f"{without} has no key column, the other file has: name it with --key-column, or leave it out"
        )
    if len(first.references) != len(other.references):
        raise LatexifyError(
            f"{first_name} has {len(first.references):,} samples, {other_name} has {len(other.references):,}: "
            "only predictions of the same samples can be compared"
        )
    if first.keys is None or other.keys is None:
        return other
    indices = pc.index_in(first.keys, value_set=other.keys)
    if indices.null_count:
        missing = first.keys.filter(indices.is_null())[0].as_py()
        raise LatexifyError(
            f"{other_name} lacks {indices.null_count:,} of the samples of {first_name}, such as {missing!r}: "
            "only predictions of the same samples can be compared"
        )
    rows = indices.to_numpy().tolist()
    return Pairs(
        references=[other.references[row] for row in rows],
        predictions=[other.predictions[row] for row in rows],
        keys=first.keys,
    )


def require_same_references(
    first: Sequence[str], other: Sequence[str], *, keys: pa.Array | None, names: tuple[str, str]
) -> None:
    """Raise LatexifyError if any references differ; both must be in the same order and normalised alike."""
    for row, (reference, other_reference) in enumerate(zip(first, other, strict=True)):
        if reference.strip() != other_reference.strip():
            sample = f"row {row + 1}" if keys is None else f"sample {keys[row].as_py()!r}"
            raise LatexifyError(
                f"{sample} has the reference {reference!r} in {names[0]} and {other_reference!r} in {names[1]}: "
                "only predictions of the same samples can be compared"
            )


def format_comparison(result: Mapping[str, Any]) -> str:
    """Format systems side by side for a terminal; the first is the one the others are compared with."""
    systems: Mapping[str, Mapping[str, Any]] = result["systems"]
    first, *others = systems
    lines = [
        describe_samples(systems[first]),
        "",
        *(f"{chr(ord('A') + number)}  {name}" for number, name in enumerate(systems)),
    ]
    for metric in METRICS:
        if metric.name in systems[first]:
            lines += ["", metric.title, _format_rate("A", systems[first][metric.name])]
            for number, other in enumerate(others, start=1):
                value = _format_rate(chr(ord("A") + number), systems[other][metric.name])
                lines.append(value + _format_difference(result["differences"][other].get(metric.name)))
    return "\n".join(
        [
            *lines,
            "",
            "p: two-sided, not corrected for several comparisons; of rates that count samples by the exact test of",
            "McNemar, of the others by the paired bootstrap over samples",
        ]
    )


def _format_rate(letter: str, rate: Mapping[str, float | None]) -> str:
    if rate["value"] is None:
        return f"  {letter}      n/a"
    return f"  {letter} {rate['value']:>7.2%}  ({rate['low']:.2%} to {rate['high']:.2%})"


def _format_difference(difference: Mapping[str, float] | None) -> str:
    if difference is None:
        return ""
    points = [f"{100 * difference[name]:+.2f}" for name in ("value", "low", "high")]
    return f"   {points[0]} points against A ({points[1]} to {points[2]}), p = {difference['p_value']:.3g}"
