"""What is counted of a prediction, and the rates that follow from the counts.

Everything is counted per sample first, so that slices, batches and bootstrap resamples are sums of the same numbers,
and a ratio is taken only of sums. Definitions and their sources: ``docs/metrics.md``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from pipeline.latex import tokenize

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
"""Tokens as Python objects take twenty times the room of the text: they are made for so many pairs at a time."""


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
    return Edits(**{field.name: np.concatenate([getattr(block, field.name) for block in blocks]) for field in EDITS})


def _count_block(references: Sequence[str], predictions: Sequence[str]) -> Edits:
    references = [text.strip() for text in references]
    predictions = [text.strip() for text in predictions]
    number_of: dict[str, int] = {}  # distances compare hashes: numbers have no collisions, strings could
    wanted, given = ([_numbered(text, number_of) for text in texts] for texts in (references, predictions))
    spaces = {number for token, number in number_of.items() if token.isspace()}
    wanted_symbols, given_symbols = (_without(spaces, sequences) for sequences in (wanted, given))
    return Edits(
        num_chars=_lengths(references),
        char_errors=_distances(references, predictions),
        num_tokens=_lengths(wanted),
        token_errors=_distances(wanted, given),
        num_symbols=_lengths(wanted_symbols),
        symbol_errors=_distances(wanted_symbols, given_symbols),
    )


def _without(spaces: set[int], sequences: list[list[int]]) -> list[list[int]]:
    """Leave out the numbers in `spaces`; most texts of formulas hold none."""
    return [
        tokens if spaces.isdisjoint(tokens) else [number for number in tokens if number not in spaces]
        for tokens in sequences
    ]


def _numbered(text: str, number_of: dict[str, int]) -> list[int]:
    """The tokens of `text` as numbers; tokens not seen before are added to `number_of`."""
    return [number_of.setdefault(token, len(number_of)) for token in tokenize(text)]


def _lengths(sequences: Sequence[Sequence[object]]) -> Counts:
    return np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))


def _distances(references: Sequence[Sequence[object]], predictions: Sequence[Sequence[object]]) -> Counts:
    """Levenshtein distance of each pair, int64 [num_samples]."""
    distances = process.cpdist(references, predictions, scorer=Levenshtein.distance, dtype=np.int64)
    return np.asarray(distances, dtype=np.int64)
