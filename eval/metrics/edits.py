"""Edit counts of predictions, and the error rates that follow from them.

Counts are kept per sample, so slices, batches and bootstrap resamples are sums of the same numbers, and ratios are only
taken of sums. ``docs/reference/metrics.md`` has the definitions and their sources.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from latexify.common.errors import LatexifyError
from latexify.eval.metrics.registry import METRICS
from latexify.pipeline.latex import tokenize

Counts = npt.NDArray[np.int64]

PAIRS_AT_ONCE = 20_000
"""Pairs whose tokens are held in memory at once; they may have as many distinct tokens as there are characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Counts over a set of samples; ``a + b`` is the score of both sets together.

    Attributes:
        num_samples: Number of samples.
        num_chars: Characters of the references.
        char_errors: Levenshtein distance between predictions and references, in characters.
        num_tokens: LaTeX tokens of the references, spaces included.
        token_errors: Levenshtein distance in these tokens.
        num_exact: Samples without token errors, spaces left out.
        num_within_1: Samples with at most one such error.
        num_within_2: Samples with at most two.
        num_within_3: Samples with at most three.
    """

    num_samples: int = 0
    num_chars: int = 0
    char_errors: int = 0
    num_tokens: int = 0
    token_errors: int = 0
    num_exact: int = 0
    num_within_1: int = 0
    num_within_2: int = 0
    num_within_3: int = 0

    def __add__(self, other: Self) -> Self:
        return type(self)(
            **{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)}
        )

    def rates(self) -> dict[str, float | None]:
        """Every rate of these counts, as a fraction (error rates can exceed 1); None if the denominator is 0."""
        names = {field.name for field in fields(self)}
        known = [metric for metric in METRICS if {metric.numerator, metric.denominator} <= names]
        totals = {metric.name: (getattr(self, metric.numerator), getattr(self, metric.denominator)) for metric in known}
        return {name: over / under if under else None for name, (over, under) in totals.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Reference lengths and edit distances of each sample, each int64 [num_samples].

    Tokens include spaces (MathWriting's token error rate); symbols are the tokens without spaces (exact match).
    """

    num_chars: Counts
    char_errors: Counts
    num_tokens: Counts
    token_errors: Counts
    num_symbols: Counts
    symbol_errors: Counts

    def __len__(self) -> int:
        return len(self.num_chars)

    def select(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Keep the samples where `chosen` (bool [num_samples]) is true."""
        return type(self)(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence["Edits"]) -> Self:
        """Concatenate the samples of all parts, of which there must be at least one."""
        return cls(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in EDITS})

    def columns(self) -> dict[str, Counts]:
        """Columns for `latexify.eval.metrics.rates`, each int64 [num_samples]: the fields of :class:`Score`."""
        within = [(self.symbol_errors <= limit).astype(np.int64) for limit in range(4)]
        return {
            "num_samples": np.ones(len(self), dtype=np.int64),
            "num_chars": self.num_chars,
            "char_errors": self.char_errors,
            "num_tokens": self.num_tokens,
            "token_errors": self.token_errors,
            "num_exact": within[0],
            "num_within_1": within[1],
            "num_within_2": within[2],
            "num_within_3": within[3],
        }

    def score(self) -> Score:
        """Sum over all samples."""
        columns = self.columns()
        return Score(**{field.name: int(columns[field.name].sum()) for field in fields(Score)})


EDITS = fields(Edits)


def count_edits(references: Sequence[str], predictions: Sequence[str]) -> Edits:
    """Compare each prediction with the reference of the same index.

    Outer white space is ignored, as in ``jiwer.cer``; nothing else is changed, so normalise first. Empty references
    and predictions count like any other.
    """
    starts = range(0, max(1, len(references)), PAIRS_AT_ONCE)
    blocks = [
        _count_block(references[start : start + PAIRS_AT_ONCE], predictions[start : start + PAIRS_AT_ONCE])
        for start in starts
    ]
    return Edits.joined(blocks)


def _count_block(references: Sequence[str], predictions: Sequence[str]) -> Edits:
    references = [text.strip() for text in references]
    predictions = [text.strip() for text in predictions]
    alphabet = _Alphabet()
    reference_tokens = [alphabet.spell(text) for text in references]
    # most predictions of a good model equal their references
    prediction_tokens = [
        spelt if prediction == reference else alphabet.spell(prediction)
        for spelt, reference, prediction in zip(reference_tokens, references, predictions, strict=True)
    ]
    reference_symbols, prediction_symbols = map(alphabet.without_spaces, (reference_tokens, prediction_tokens))
    return Edits(
        num_chars=_lengths(references),
        char_errors=_distances(references, predictions),
        num_tokens=_lengths(reference_tokens),
        token_errors=_distances(reference_tokens, prediction_tokens),
        num_symbols=_lengths(reference_symbols),
        symbol_errors=_distances(reference_symbols, prediction_symbols),
    )


class _Alphabet(dict[str, str]):
    """Maps each token to one character, so that token sequences are strings: fast to compare, without collisions."""

    def __missing__(self, token: str) -> str:
        if len(self) > sys.maxunicode:
            raise LatexifyError(
                f"more than {sys.maxunicode:,} different LaTeX tokens in {PAIRS_AT_ONCE:,} samples: "
                "check that the columns contain formulas"
            )
        self[token] = chr(len(self))
        return self[token]

    def spell(self, text: str) -> str:
        return "".join(map(self.__getitem__, tokenize(text)))

    def without_spaces(self, spelt: list[str]) -> list[str]:
        for space in [character for token, character in self.items() if token.isspace()]:
            spelt = [text.replace(space, "") for text in spelt]
        return spelt


def _lengths(texts: Sequence[str]) -> Counts:
    return np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))


def _distances(references: Sequence[str], predictions: Sequence[str]) -> Counts:
    """Levenshtein distance of each pair, int64 [num_samples]."""
    distances = process.cpdist(references, predictions, scorer=Levenshtein.distance, dtype=np.int64)
    return np.asarray(distances, dtype=np.int64)
