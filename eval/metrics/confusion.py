"""Which symbols are read wrongly, and as what."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from latexify.pipeline.latex import tokenize


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusions:
    """Counts over aligned tokens, spaces left out.

    occurrences: of each token in the references. pairs: of (token of the reference, token of the prediction) that
    differ; `None` stands for nothing: (token, None) is a missing one, (None, token) a surplus one.
    """

    occurrences: Counter[str]
    pairs: Counter[tuple[str | None, str | None]]

    @property
    def num_errors(self) -> int:
        """Token errors, spaces left out: as many as the alignments have edits."""
        return self.pairs.total()


def count_confusions(references: Sequence[str], predictions: Sequence[str]) -> Confusions:
    """Align the tokens of each prediction with its reference's, along a shortest sequence of edits, and count them.

    Where several sequences are as short, rapidfuzz takes one, the same always: of `ab` read as `b`, `a` is missing, but
    which of two equal neighbours is, or which of several neighbours was taken for which, is its choice.
    """
    occurrences: Counter[str] = Counter()
    pairs: Counter[tuple[str | None, str | None]] = Counter()
    for reference, prediction in zip(references, predictions, strict=True):
        wanted = _symbols(reference)
        occurrences.update(wanted)
        if reference != prediction:
            pairs.update(_differences(wanted, _symbols(prediction)))
    return Confusions(occurrences=occurrences, pairs=pairs)


def _symbols(text: str) -> list[str]:
    r"""Outer white space is left out first, as `latexify.eval.metrics.edits` does it: it is a part of the last token of `\ `."""
    return [token for token in tokenize(text.strip()) if not token.isspace()]


def _differences(wanted: list[str], given: list[str]) -> Iterator[tuple[str | None, str | None]]:
    for edit in Levenshtein.editops(wanted, given):
        yield (
            None if edit.tag == "insert" else wanted[edit.src_pos],
            None if edit.tag == "delete" else given[edit.dest_pos],
        )


def confusion_rows(confusions: Confusions) -> list[dict[str, Any]]:
    """One row for each pair of tokens that were taken for each other, the commonest first.

    kind: `substituted`, `missing` (no prediction) or `extra` (no reference).
    """
    rows = [
        {
            "kind": "extra" if wanted is None else "missing" if given is None else "substituted",
            "reference": wanted or "",
            "prediction": given or "",
            "count": count,
        }
        for (wanted, given), count in confusions.pairs.items()
    ]
    return sorted(rows, key=lambda row: (-row["count"], row["reference"], row["prediction"]))


def symbol_rows(confusions: Confusions) -> list[dict[str, Any]]:
    """One row for each token of the references or predictions: those with the most errors first.

    count: in the references; of them `right`, `substituted` (taken for another) and `missing`. extra: read where there
    is none. taken_for_it: other tokens that were read as this one. recall: right / count; precision: right / (right +
    taken_for_it + extra); None where there is nothing to divide by.
    """
    substituted, missing, extra, taken_for_it = (Counter[str]() for _ in range(4))
    for (wanted, given), count in confusions.pairs.items():
        if wanted is not None and given is not None:
            substituted[wanted] += count
            taken_for_it[given] += count
        elif wanted is not None:
            missing[wanted] += count
        elif given is not None:
            extra[given] += count
    rows = []
    for token in confusions.occurrences.keys() | extra.keys() | taken_for_it.keys():
        count = confusions.occurrences[token]
        right = count - substituted[token] - missing[token]
        read = right + taken_for_it[token] + extra[token]
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
                "precision": right / read if read else None,
            }
        )
    return sorted(rows, key=lambda row: (row["right"] - row["count"] - row["extra"], row["symbol"]))
