"""Symbol confusions: which symbols are recognised wrongly, and as what."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from latexify.eval.metrics.structure import symbols_of

TokenPair = tuple[str | None, str | None]
"""A token of the reference and the token of the prediction aligned with it; None stands for no token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusions:
    """Counts over aligned tokens, spaces left out."""

    occurrences: Counter[str]  # of each token in the references
    pairs: Counter[TokenPair]  # of each pair that differs: (token, None) is missing, (None, token) is extra


def count_confusions(references: Sequence[str], predictions: Sequence[str]) -> Confusions:
    """Align the tokens of each prediction with those of its reference by a shortest edit sequence, and count them.

    If several sequences are equally short, rapidfuzz chooses one, always the same: for `ab` recognised as `b`, `a` is
    missing, but which of two equal neighbours is missing is arbitrary. Outer white space is stripped first, as in
    `edits`.
    """
    occurrences: Counter[str] = Counter()
    pairs: Counter[TokenPair] = Counter()
    for reference, prediction in zip(references, predictions, strict=True):
        symbols = symbols_of(reference.strip())
        occurrences.update(symbols)
        if reference != prediction:
            pairs.update(_differences(symbols, symbols_of(prediction.strip())))
    return Confusions(occurrences=occurrences, pairs=pairs)


def _differences(reference: list[str], prediction: list[str]) -> Iterator[TokenPair]:
    for edit in Levenshtein.editops(reference, prediction):
        yield (
            None if edit.tag == "insert" else reference[edit.src_pos],
            None if edit.tag == "delete" else prediction[edit.dest_pos],
        )


def confusion_rows(confusions: Confusions) -> list[dict[str, Any]]:
    """Build one row for each pair of confused tokens, the most frequent first.

    kind: `substituted`, `missing` (no prediction) or `extra` (no reference).
    """
    rows = [
        {
            "kind": "extra" if reference is None else "missing" if prediction is None else "substituted",
            "reference": reference or "",
            "prediction": prediction or "",
            "count": count,
        }
        for (reference, prediction), count in confusions.pairs.items()
    ]
    return sorted(rows, key=lambda row: (-row["count"], row["reference"], row["prediction"]))


def symbol_rows(confusions: Confusions) -> list[dict[str, Any]]:
    """Build one row for each token of the references or predictions, those with the most errors first.

    count: in the references, of which `right`, `substituted` (by another token) and `missing`. extra: predicted where
    there is none. taken_for_it: other tokens that were recognised as this one. recall: right / count. precision:
    right / (right + taken_for_it + extra). Rates with a denominator of 0 are None.
    """
    substituted, missing, extra, taken_for_it = (Counter[str]() for _ in range(4))
    for (reference, prediction), count in confusions.pairs.items():
        if reference is not None and prediction is not None:
            substituted[reference] += count
            taken_for_it[prediction] += count
        elif reference is not None:
            missing[reference] += count
        elif prediction is not None:
            extra[prediction] += count
    rows = []
    for token in confusions.occurrences.keys() | extra.keys() | taken_for_it.keys():
        count = confusions.occurrences[token]
        right = count - substituted[token] - missing[token]
        predicted = right + taken_for_it[token] + extra[token]
        rows.append(
            {
                "symbol": token,
                "count": count,
                "right": right,
                "substituted": substituted[token],
                "missing": missing[token],
                "extra": extra[token],
                "taken_for_it": taken_for_it[token],
                "recall": right / count if count else None,
                "precision": right / predicted if predicted else None,
            }
        )
    return sorted(rows, key=lambda row: (row["right"] - row["count"] - row["extra"], row["symbol"]))
