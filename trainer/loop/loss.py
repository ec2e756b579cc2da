"""What is minimised: the cross-entropy of every label token, by teacher forcing."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from transformers import VisionEncoderDecoderModel

from latexify.trainer.data.batches import IGNORED
from latexify.trainer.model.model import model_input

MAX_PARTS = 4
MIN_PART = 8
"""Samples: of fewer, matrix products would be small for what padding they save. Not tuned further."""
MIN_WASTE = 0.25
"""RankShare of padding from which a batch is decoded in parts."""


class Part(NamedTuple):
    """Some samples of a batch, decoded together; a bare tuple, which torch.compile and DDP can look into.

    rows: int64 [n], which they are; None for all of them. labels: int64 [n, longest of them], padded with `IGNORED`.
    """

    rows: torch.Tensor | None
    labels: torch.Tensor


def in_parts(labels: torch.Tensor) -> list[Part]:
    """Cut a batch into parts of like length, if padding is much of it. labels: int64 [batch, longest].

    Models with batch norms need all lengths in a batch; that is a matter of the encoder, and costs the decoder as many
    steps for a short label as for the longest.
    """
    lengths = (labels != IGNORED).sum(dim=1)
    num_parts = min(MAX_PARTS, len(labels) // MIN_PART)
    if num_parts < 2 or int(lengths.sum()) > (1 - MIN_WASTE) * labels.numel():
        return [Part(rows=None, labels=labels)]
    parts = lengths.argsort(stable=True).tensor_split(num_parts)
    return [Part(rows=rows, labels=labels[rows, : int(lengths[rows].max())]) for rows in parts]


class TokenLoss(nn.Module):
    """Pictures and labels to the sum of the token losses: what is compiled, and shared between ranks, as a whole."""

    def __init__(self, model: VisionEncoderDecoderModel, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.model, self._label_smoothing = model, label_smoothing

    def forward(self, pixels: torch.Tensor, parts: Sequence[Part]) -> torch.Tensor:
        """Computed in float32: float32 []. pixels: uint8 [batch, height, width]. parts: of all samples of the batch."""
        inputs = model_input(pixels, self.model)
        if parts[0].rows is None:
            return self._decode(parts[0].labels, pixel_values=inputs)
        memory = self.model.encoder(pixel_values=inputs).last_hidden_state
        losses = [self._decode(part.labels, encoder_outputs=(memory[part.rows],)) for part in parts]
        return torch.stack(losses).sum()

    def _decode(self, labels: torch.Tensor, **picture: object) -> torch.Tensor:
        """The sum over these labels. picture: what they are read from, as the model takes it.

        We shift the labels and compute the loss ourselves: transformers' own shifts twice in versions 4.50 to 4.57, and
        averages each micro-batch by itself.
        """
        config = self.model.config
        start = labels.new_full((len(labels), 1), config.decoder_start_token_id)
        # padding stands behind the label, where the causal mask hides it from every position that counts
        previous = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, config.pad_token_id)
        ids = torch.cat([start, previous], dim=1)
        logits = self.model(**picture, decoder_input_ids=ids, use_cache=False).logits
        return nn.functional.cross_entropy(
            logits.float().flatten(0, 1),
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self._label_smoothing,
        )


def on_device(parts: Sequence[Part], device: torch.device) -> list[Part]:
    """The same parts, for a model that is there."""
    return [
        Part(
            rows=None if part.rows is None else part.rows.to(device, non_blocking=True),
            labels=part.labels.to(device, non_blocking=True),
        )
        for part in parts
    ]


def token_loss(
    model: VisionEncoderDecoderModel, pixels: torch.Tensor, labels: torch.Tensor, *, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Sum of the cross-entropies of all label tokens, by teacher forcing; computed in float32: float32 [].

    pixels: uint8 [batch, height, width]. labels: int64 [batch, longest], padded with `IGNORED`, which costs nothing.
    """
    loss: torch.Tensor = TokenLoss(model, label_smoothing=label_smoothing)(
        pixels, on_device(in_parts(labels), model.device)
    )
    return loss
