"""Several systems on the same samples: how far apart they are, and whether that could be chance."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from latexify.common.errors import LatexifyError
from latexify.eval.compare.columns import Pairs
from latexify.eval.metrics.bootstrap import Column, Difference, paired_difference
from latexify.eval.metrics.edits import COUNTS, RATES, Edits
from latexify.eval.score.summary import TITLES


def in_order_of(first: Pairs, other: Pairs, *, names: tuple[str, str]) -> Pairs:
    """The rows of `other` in the order of `first`: joined by key where both have keys, else row by row.

    names: of both, for errors. Raises LatexifyError where they are not of the same samples.
    """
    one, two = names
    if (first.keys is None) != (other.keys is None):
        without = one if first.keys is None else two
        raise LatexifyError(
            f"{without} has no key column, the other file has: name it by --key-column, or leave it out"
        )
    if len(first.references) != len(other.references):
        raise LatexifyError(
            f"{one} holds {len(first.references):,} samples, {two} {len(other.references):,}: "
            "only predictions of the same samples can be compared"
        )
    if first.keys is None or other.keys is None:
        return other
    places = pc.index_in(first.keys, value_set=other.keys)
    if places.null_count:
        missing = first.keys.filter(places.is_null())[0].as_py()
        raise LatexifyError(
            f"{two} lacks {places.null_count:,} of the samples of {one}, such as {missing!r}: "
            "only predictions of the same samples can be compared"
        )
    rows = places.to_numpy().tolist()
    return Pairs(
        references=[other.references[row] for row in rows],
        predictions=[other.predictions[row] for row in rows],
        keys=first.keys,
    )


def require_same_references(
    first: Sequence[str], other: Sequence[str], *, keys: pa.Array | None, names: tuple[str, str]
) -> None:
    """Refuse to compare predictions with different references; both in the same order and normalised alike."""
    for row, (wanted, found) in enumerate(zip(first, other, strict=True)):
        if wanted.strip() != found.strip():
            where = f"row {row + 1}" if keys is None else f"sample {keys[row].as_py()!r}"
            raise LatexifyError(
                f"{where} has the reference {wanted!r} in {names[0]} and {found!r} in {names[1]}: "
                "only predictions of the same samples can be compared"
            )


def differences(first: Edits, other: Edits, *, num_resamples: int, seed: int) -> dict[str, Difference]:
    """What each rate of `other` is more than that of `first`, on the same samples in the same order."""
    counts, others = (dict(zip(COUNTS, edits.counts().T, strict=True)) for edits in (first, other))
    found = {}
    for name, (over, under) in RATES.items():
        if counts[under].any():
            found[name] = paired_difference(
                counts[over], others[over], counts[under], num_resamples=num_resamples, seed=seed
            )
    return found


def appearance_differences(
    first: Mapping[str, tuple[Column, Column]],
    other: Mapping[str, tuple[Column, Column]],
    *,
    num_resamples: int,
    seed: int,
) -> dict[str, Difference]:
    """The same for what `Appearance.rates` gives."""
    found = {}
    for name, (over, under) in first.items():
        both: npt.NDArray[np.bool_] = np.asarray(under, dtype=np.bool_)
        if both.any():
            found[name] = paired_difference(over, other[name][0], both, num_resamples=num_resamples, seed=seed)
    return found


def describe_comparison(result: Mapping[str, Any]) -> str:
    """The systems side by side, the first as the one to compare with, for a terminal."""
    systems: Mapping[str, Mapping[str, Any]] = result["systems"]
    first, *others = systems
    lines = [
        f"{systems[first]['num_samples']:,} samples, normaliser: {systems[first]['normalizer']}",
        "",
        *(f"{chr(ord('A') + number)}  {name}" for number, name in enumerate(systems)),
    ]
    for name, title in TITLES.items():
        if name in systems[first]:
            lines += ["", title, _value_line("A", systems[first][name])]
            for number, other in enumerate(others, start=1):
                value = _value_line(chr(ord("A") + number), systems[other][name])
                lines.append(value + _difference_text(result["differences"][other].get(name)))
    return "\n".join([*lines, "", "p: two-sided, paired bootstrap over samples, not corrected for several comparisons"])


def _value_line(letter: str, rate: Mapping[str, float | None]) -> str:
    if rate["value"] is None:
        return f"  {letter}      n/a"
    return f"  {letter} {rate['value']:>7.2%}  ({rate['low']:.2%} to {rate['high']:.2%})"


def _difference_text(difference: Mapping[str, float] | None) -> str:
    if difference is None:
        return ""
    points = [f"{100 * difference[name]:+.2f}" for name in ("value", "low", "high")]
    return f"   {points[0]} points against A ({points[1]} to {points[2]}), p = {difference['p_value']:.3g}"
