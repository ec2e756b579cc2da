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
    places: torch.Tensor  # of all that is not padding in the flattened labels, int64 [number of tokens]
    backward: torch.Tensor | None = None  # which labels run from right to left, bool [n]; None: none do


def split_labels(labels: torch.Tensor, backward: torch.Tensor | None = None) -> list[LabelPart]:
    """Cut a batch into parts of like length, if much of it is padding.

    Args:
        labels: int64 [batch, longest], on the CPU, where no device has to be waited for.
        backward: Which of them run from right to left, bool [batch]; None: none do.

    The encoder of a model with batch norms needs all lengths in a batch. Without parts, the decoder would then spend as
    many steps on a short label as on the longest.
    """
    lengths = (labels != IGNORE_INDEX).sum(dim=1)
    num_parts = min(MAX_PARTS, len(labels) // MIN_PART)
    if num_parts < 2 or int(lengths.sum()) > (1 - MIN_WASTE) * labels.numel():
        return [whole_batch(labels, backward)]
    parts = lengths.argsort(stable=True).tensor_split(num_parts)
    return [
        LabelPart(rows=rows, labels=cut, places=_places(cut), backward=None if backward is None else backward[rows])
        for rows, cut in ((rows, labels[rows, : int(lengths[rows].max())]) for rows in parts)
    ]


def whole_batch(labels: torch.Tensor, backward: torch.Tensor | None = None) -> LabelPart:
    """Return a batch as one part; arguments as for :func:`split_labels`."""
    return LabelPart(rows=None, labels=labels, places=_places(labels), backward=backward)


def _places(labels: torch.Tensor) -> torch.Tensor:
    return (labels != IGNORE_INDEX).flatten().nonzero().squeeze(1)


class TokenLoss(nn.Module):
    """Pictures and labels to the sum of the token losses; compiled, and wrapped for ranks, as a whole."""

    def __init__(self, model: VisionEncoderDecoderModel, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.model, self._label_smoothing = model, label_smoothing

    def forward(self, pixels: torch.Tensor, parts: Sequence[LabelPart]) -> torch.Tensor:
        """Return the loss, float32 [], computed in float32. pixels: uint8 [batch, height, width]."""
        memory = self.model.encoder(pixel_values=model_input(pixels, self.model)).last_hidden_state
        if hasattr(self.model, "enc_to_dec_proj"):  # the decoder has another size, and no projection of its own
            memory = self.model.enc_to_dec_proj(memory)
        losses = [self._decode(part, memory if part.rows is None else memory[part.rows]) for part in parts]
        return torch.stack(losses).sum()

    def _decode(self, part: LabelPart, memory: torch.Tensor) -> torch.Tensor:
        """Return the sum over these labels. memory: the encoder's output for them, [n, cells, size].

        We shift the labels and compute the loss ourselves: transformers' loss shifts twice in versions 4.50 to 4.57,
        and averages over each micro-batch. Padding gets no logits, which take most of the memory of a large vocabulary.
        """
        config, labels = self.model.config, part.labels
        start = labels.new_full((len(labels), 1), config.decoder_start_token_id)
        if part.backward is not None:
            start = start.masked_fill(part.backward[:, None], config.bos_token_id)
        # padding follows the label, where the causal mask hides it from every position that counts
        previous = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORE_INDEX, config.pad_token_id)
        ids = torch.cat([start, previous], dim=1)
        decoder = self.model.decoder
        states = decoder.model.decoder(input_ids=ids, encoder_hidden_states=memory, use_cache=False).last_hidden_state
        logits = decoder.output_projection(states.flatten(0, 1).index_select(0, part.places))
        return nn.functional.cross_entropy(
            logits.float(),
            labels.flatten().index_select(0, part.places),
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
