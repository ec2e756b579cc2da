"""What is counted of a prediction, and the rates that follow from the counts.

Everything is counted per sample first, so that slices, batches and bootstrap resamples are sums of the same numbers,
and a ratio is taken only of sums. Definitions and their sources: ``docs/reference/metrics.md``.
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
from latexify.pipeline.latex import tokenize

Counts = npt.NDArray[np.int64]

RATES = {
    "cer": ("char_errors", "num_chars"),
    "token_cer": ("token_errors", "num_tokens"),
    "exact_match": ("num_exact", "num_samples"),
    "within_1": ("num_within_1", "num_samples"),
    "within_2": ("num_within_2", "num_samples"),
    "within_3": ("num_within_3", "num_samples"),
}
"""Every rate as (numerator, denominator), both fields of :class:`Score`."""
PAIRS_AT_ONCE = 20_000
"""Pairs whose tokens are held in memory at a time, and may have no more different ones than there are characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Counts over a set of samples; ``a + b`` is the score of both sets together.

    char_errors, token_errors: Levenshtein distance of prediction and reference, in characters and in LaTeX tokens with
    spaces as tokens; num_chars, num_tokens: of the references. num_exact, num_within_n: samples with none, with at most
    n token errors, spaces left out.
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
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in COUNTS})

    def rates(self) -> dict[str, float | None]:
        """Every rate of RATES, a fraction (error rates can exceed 1); None where there is nothing to divide by."""
        pairs = {name: (getattr(self, over), getattr(self, under)) for name, (over, under) in RATES.items()}
        return {name: over / under if under else None for name, (over, under) in pairs.items()}


COUNTS = tuple(field.name for field in fields(Score))


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Of each sample, the lengths of its reference and the edits its prediction needs; each int64 [num_samples].

    Tokens count spaces (MathWriting's token error rate), symbols are the tokens without spaces (exact match).
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
        """The samples where `chosen` (bool [num_samples]) holds."""
        return type(self)(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence["Edits"]) -> Self:
        """The samples of all parts, one after another; at least one part."""
        return cls(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in EDITS})

    def counts(self) -> Counts:
        """int64 [num_samples, len(COUNTS)]: the score of each sample by itself, in the order of COUNTS."""
        within = [self.symbol_errors <= limit for limit in range(4)]
        known = [np.ones(len(self)), self.num_chars, self.char_errors, self.num_tokens, self.token_errors]
        return np.stack([*known, *within], axis=1).astype(np.int64)

    def score(self) -> Score:
        """The sum over all samples."""
        return Score(**dict(zip(COUNTS, self.counts().sum(axis=0).tolist(), strict=True)))


EDITS = fields(Edits)


def count_edits(references: Sequence[str], predictions: Sequence[str]) -> Edits:
    """Compare each prediction with the reference at the same place.

    Outer white space is left out, as ``jiwer.cer`` does; nothing else is changed, so normalise before. An empty
    reference or prediction counts like any other.
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
    wanted = [alphabet.spell(text) for text in references]
    # most predictions of a good model are their references
    given = [
        spelt if prediction == reference else alphabet.spell(prediction)
        for spelt, reference, prediction in zip(wanted, references, predictions, strict=True)
    ]
    wanted_symbols, given_symbols = alphabet.without_spaces(wanted), alphabet.without_spaces(given)
    return Edits(
        num_chars=_lengths(references),
        char_errors=_distances(references, predictions),
        num_tokens=_lengths(wanted),
        token_errors=_distances(wanted, given),
        num_symbols=_lengths(wanted_symbols),
        symbol_errors=_distances(wanted_symbols, given_symbols),
    )


class _Alphabet(dict[str, str]):
    """A character for each token, so that a text is a string of tokens: compared fast, and without collisions."""

    def __missing__(self, token: str) -> str:
        if len(self) > sys.maxunicode:
            raise LatexifyError(
                f"more than {sys.maxunicode:,} different LaTeX tokens in {PAIRS_AT_ONCE:,} samples: "
                "check that the columns hold formulas"
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
