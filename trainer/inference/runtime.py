"""Interfaces between the search and the runtime that computes for it: torch or onnxruntime."""

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Runtime = Literal["torch", "onnx"]

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class StepCache(Protocol):
    """State of a decoder between steps. The rows of a sample, one for each beam, are adjacent."""

    def keep_samples(self, samples: Ints, *, rows: Ints) -> None:
        """Keep these samples only, and continue from these rows, which are theirs."""

    def keep_rows(self, rows: Ints) -> None:
        """Continue from these rows, which may repeat, of the same samples as before."""


C = TypeVar("C", bound=StepCache)


class Scorer(Protocol):
    """Choose next tokens from logits, floating [rows, vocabulary] in the runtime's own arrays.

    `cases` are rows of the constraint's table of penalties, one for each row of the logits; None without a constraint.
    """

    def best_tokens(self, logits: Any, cases: Sequence[int] | None) -> tuple[Ints, Floats, Ints]:
        """Return the most likely allowed token of each row, its log-probability, and the most likely token of all.

        All are [rows]. The log-probability is the model's own, without the constraint.
        """
        ...

    def best_extensions(
        self, logits: Any, cases: Sequence[int] | None, *, sums: Floats, count: int
    ) -> tuple[Floats, Ints]:
        """Return the `count` most likely extensions of the beams of each sample, best first.

        `sums` are the log-probabilities of all beams so far, [samples, beams]; `count` is at most beams * vocabulary.
        The results are the sums with the new token and `beam * vocabulary + token`, both [samples, count].
        """
        ...


class TokenDecoder(Protocol[C]):
    """A decoder that appends one token to each row at a time."""

    max_positions: int
    """Longest sequence, start token included."""

    def start(self, encoded: Any) -> C:
        """Begin a batch. encoded: floating [samples, ...], as the encoder of the same runtime returned it."""

    def step(self, cache: C, tokens: Ints) -> Any:
        """Append a token to every row; return logits, float32 [rows, vocabulary], in the runtime's own array."""

    def scorer(self, penalties: Floats | None) -> Scorer:
        """Return a scorer. penalties: table of a constraint, [cases, vocabulary]."""
