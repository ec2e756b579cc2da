"""What a search needs of whatever computes for it: torch with the weights themselves, or onnxruntime with graphs."""

from typing import Literal, Protocol, TypeVar

import torch

Engine = Literal["torch", "onnx"]


class StepCache(Protocol):
    """What the next step needs of the steps before it. Rows of a sample, one for each beam, stand together."""

    def keep_samples(self, samples: torch.Tensor, *, rows: torch.Tensor) -> None:
        """Go on with these samples only (int64), and the rows that are theirs."""

    def keep_rows(self, rows: torch.Tensor) -> None:
        """Go on from these rows (int64; a row may be taken more than once), of the same samples as before."""


C = TypeVar("C", bound=StepCache)


class TokenDecoder(Protocol[C]):
    """A decoder, one token of each row at a time. max_positions: of a sequence, start token included."""

    max_positions: int

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""

    def start(self, memory: torch.Tensor) -> C:
        """Begin to read pictures. memory: floating [samples, ...], what the engine's encoder made of them."""

    def step(self, cache: C, tokens: torch.Tensor) -> torch.Tensor:
        """Append a token to every row. tokens: int64 [rows]; returns logits, float32 [rows, vocabulary]."""
