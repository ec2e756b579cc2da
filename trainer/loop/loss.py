"""The loss: the cross-entropy of every label token, by teacher forcing."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from transformers import VisionEncoderDecoderModel

from latexify.trainer.data.collate import IGNORE_INDEX
from latexify.trainer.model.model import model_input

MAX_PARTS = 4
MIN_PART = 8
"""Samples of a part at least: smaller matrix products cost more than the padding saved. Not tuned further."""
MIN_WASTE = 0.25
"""Fraction of padding from which a batch is decoded in parts."""


class LabelPart(NamedTuple):
    """Samples of a batch that are decoded together; a plain tuple, which torch.compile and DDP can look into."""

    rows: torch.Tensor | None  # which samples, int64 [n]; None for all
    labels: torch.Tensor  # int64 [n, longest], padded with `IGNORE_INDEX`
    backward: torch.Tensor | None = None  # which labels run from right to left, bool [n]; None: none do


def split_labels(labels: torch.Tensor, backward: torch.Tensor | None = None) -> list[LabelPart]:
    """Cut a batch into parts of like length, if much of it is padding.

    Args:
        labels: int64 [batch, longest].
        backward: Which of them run from right to left, bool [batch]; None: none do.

    The encoder of a model with batch norms needs all lengths in a batch. Without parts, the decoder would then spend as
    many steps on a short label as on the longest.
    """
    lengths = (labels != IGNORE_INDEX).sum(dim=1)
    num_parts = min(MAX_PARTS, len(labels) // MIN_PART)
    if num_parts < 2 or int(lengths.sum()) > (1 - MIN_WASTE) * labels.numel():
        return [LabelPart(rows=None, labels=labels, backward=backward)]
    parts = lengths.argsort(stable=True).tensor_split(num_parts)
    return [
        LabelPart(
            rows=rows,
            labels=labels[rows, : int(lengths[rows].max())],
            backward=None if backward is None else backward[rows],
        )
        for rows in parts
    ]


class TokenLoss(nn.Module):
    """Pictures and labels to the sum of the token losses; compiled, and wrapped for ranks, as a whole."""

    def __init__(self, model: VisionEncoderDecoderModel, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.model, self._label_smoothing = model, label_smoothing

    def forward(self, pixels: torch.Tensor, parts: Sequence[LabelPart]) -> torch.Tensor:
        """Return the loss, float32 [], computed in float32. pixels: uint8 [batch, height, width]."""
        inputs = model_input(pixels, self.model)
        if parts[0].rows is None:
            return self._decode(parts[0], pixel_values=inputs)
        memory = self.model.encoder(pixel_values=inputs).last_hidden_state
        losses = [self._decode(part, encoder_outputs=(memory[part.rows],)) for part in parts]
        return torch.stack(losses).sum()

    def _decode(self, part: LabelPart, **picture: object) -> torch.Tensor:
        """Return the sum over these labels. picture: the encoder's input or output, as an argument of the model.

        We shift the labels and compute the loss ourselves: transformers' loss shifts twice in versions 4.50 to 4.57,
        and averages over each micro-batch.
        """
        config, labels = self.model.config, part.labels
        start = labels.new_full((len(labels), 1), config.decoder_start_token_id)
        if part.backward is not None:
            start = start.masked_fill(part.backward[:, None], config.bos_token_id)
        # padding follows the label, where the causal mask hides it from every position that counts
        previous = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORE_INDEX, config.pad_token_id)
        ids = torch.cat([start, previous], dim=1)
        logits = self.model(**picture, decoder_input_ids=ids, use_cache=False).logits
        return nn.functional.cross_entropy(
            logits.float().flatten(0, 1),
            labels.flatten(),
            ignore_index=IGNORE_INDEX,
            reduction="sum",
            label_smoothing=self._label_smoothing,
        )


def on_device(parts: Sequence[LabelPart], device: torch.device) -> list[LabelPart]:
    """Move parts to a device."""
    return [
        LabelPart._make(None if value is None else value.to(device, non_blocking=True) for value in part)
        for part in parts
    ]


def token_loss(
    model: VisionEncoderDecoderModel, pixels: torch.Tensor, labels: torch.Tensor, *, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Return the sum of the cross-entropies of all label tokens by teacher forcing, float32 [].

    Args:
        model: The model, on its device.
        pixels: uint8 [batch, height, width], ink 0, paper 255.
        labels: int64 [batch, longest], padded with `IGNORE_INDEX`, which adds nothing.
        label_smoothing: As `torch.nn.functional.cross_entropy` takes it.
    """
    parts = on_device(split_labels(labels), model.device)
    loss: torch.Tensor = TokenLoss(model, label_smoothing=label_smoothing)(pixels, parts)
    return loss
