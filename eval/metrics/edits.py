"""Edit counts of predictions, one per sample.

Slices, batches and bootstrap resamples are sums of the same numbers, and ratios are only taken of sums.
``docs/reference/metrics.md`` has the definitions and their sources.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from latexify.common.edit_counts import Counts, edit_counts
from latexify.common.errors import LatexifyError
from latexify.eval.metrics.field_convention import field_tokens, is_affected
from latexify.pipeline.latex import tokenize

Lexer = Callable[[str], list[str]]

PAIRS_AT_ONCE = 20_000
"""Pairs whose tokens are held in memory at once; they may have as many distinct tokens as there are characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Reference lengths and edit distances of each sample, each int64 [num_samples].

    Tokens include spaces (MathWriting's token error rate); symbols are the tokens without spaces (exact match).
    `field_errors` are those of the symbols, or, if they are fewer, those that are left by the convention of the field
    (`latexify.eval.metrics.field_convention`).
    """

    num_chars: Counts
    char_errors: Counts
    num_tokens: Counts
    token_errors: Counts
    num_symbols: Counts
    symbol_errors: Counts
    field_errors: Counts

    def __len__(self) -> int:
        return len(self.num_chars)

    def select(self, chosen: npt.NDArray[np.bool_]) -> Self:
        """Keep the samples where `chosen` (bool [num_samples]) is true."""
        return type(self)(**{field.name: getattr(self, field.name)[chosen] for field in EDITS})

    @classmethod
    def joined(cls, parts: Sequence["Edits"]) -> Self:
        """Concatenate the samples of all parts, of which there must be at least one."""
        return cls(**{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in EDITS})

    def columns(self) -> dict[str, Counts]:
        """Columns for `latexify.eval.metrics.rates`, each int64 [num_samples].

        `num_exact` and `num_within_N` are 1 for a sample without symbol errors, or with at most N of them;
        `num_exact_field` and `num_within_N_field` are the same for errors by the convention of the field.
        """
        return {
            "num_samples": np.ones(len(self), dtype=np.int64),
            "num_chars": self.num_chars,
            "char_errors": self.char_errors,
            "num_tokens": self.num_tokens,
            "token_errors": self.token_errors,
            "num_exact": (self.symbol_errors == 0).astype(np.int64),
            **{f"num_within_{limit}": (self.symbol_errors <= limit).astype(np.int64) for limit in (1, 2, 3)},
            "num_exact_field": (self.field_errors == 0).astype(np.int64),
            **{f"num_within_{limit}_field": (self.field_errors <= limit).astype(np.int64) for limit in (1, 2, 3)},
        }

    def totals(self) -> dict[str, int]:
        """Sum each of the columns over all samples."""
        return {name: int(column.sum()) for name, column in self.columns().items()}


EDITS = fields(Edits)


def count_edits(references: Sequence[str], predictions: Sequence[str], *, lexer: Lexer = tokenize) -> Edits:
    """Compare each prediction with the reference of the same index, in the tokens of `lexer`.

    Outer white space is ignored, as in ``jiwer.cer``; nothing else is changed, so normalise first. Empty references
    and predictions count like any other.
    """
    starts = range(0, max(1, len(references)), PAIRS_AT_ONCE)
    blocks = [slice(start, start + PAIRS_AT_ONCE) for start in starts]
    return Edits.joined([_count_block(references[block], predictions[block], lexer) for block in blocks])


def _count_block(references: Sequence[str], predictions: Sequence[str], lexer: Lexer) -> Edits:
    references, predictions = ([text.strip() for text in texts] for texts in (references, predictions))
    alphabet = _Alphabet(lexer)
    reference_tokens = [alphabet.spell(text) for text in references]
    # most predictions of a good model equal their references
    prediction_tokens = [
        spelt if prediction == reference else alphabet.spell(prediction)
        for spelt, reference, prediction in zip(reference_tokens, references, predictions, strict=True)
    ]
    num_chars, char_errors = edit_counts(references, predictions, strip=False)
    num_tokens, token_errors = edit_counts(reference_tokens, prediction_tokens, strip=False)
    symbols = map(alphabet.without_spaces, (reference_tokens, prediction_tokens))
    num_symbols, symbol_errors = edit_counts(*symbols, strip=False)
    return Edits(
        num_chars=num_chars,
        char_errors=char_errors,
        num_tokens=num_tokens,
        token_errors=token_errors,
        num_symbols=num_symbols,
        symbol_errors=symbol_errors,
        field_errors=_field_errors(references, predictions, symbol_errors, lexer),
    )


def _field_errors(references: Sequence[str], predictions: Sequence[str], symbol_errors: Counts, lexer: Lexer) -> Counts:
    """The errors by the convention of the field: `symbol_errors` where it makes no difference."""
    errors = symbol_errors.copy()
    for row in np.flatnonzero(symbol_errors).tolist():
        pair = references[row], predictions[row]
        if any(map(is_affected, pair)):
            texts = (field_tokens(token for token in lexer(text) if not token.isspace()) for text in pair)
            errors[row] = min(errors[row], Levenshtein.distance(*texts))
    return errors


class _Alphabet(dict[str, str]):
    """Maps each token to one character, so that token sequences are strings: fast to compare, without collisions."""

    def __init__(self, lexer: Lexer) -> None:
        super().__init__()
        self._lexer = lexer

    def __missing__(self, token: str) -> str:
        if len(self) > sys.maxunicode:
            raise LatexifyError(
                f"more than {sys.maxunicode:,} different LaTeX tokens in {PAIRS_AT_ONCE:,} samples: "
                "check that the columns contain formulas"
            )
        self[token] = chr(len(self))
        return self[token]

    def spell(self, text: str) -> str:
        return "".join(map(self.__getitem__, self._lexer(text)))

    def without_spaces(self, spelt: list[str]) -> list[str]:
        for space in [character for token, character in self.items() if token.isspace()]:
            spelt = [text.replace(space, "") for text in spelt]
        return spelt
