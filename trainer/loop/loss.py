"""The loss: the cross-entropy of every label token, by teacher forcing."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import VisionEncoderDecoderModel

from latexify.trainer.data.collate import IGNORE_INDEX
from latexify.trainer.data.label_parts import LabelPart, split_labels
from latexify.trainer.model.model import model_input


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
            logits.float(), part.targets, reduction="sum", label_smoothing=self._label_smoothing
        )


def token_loss(
    model: VisionEncoderDecoderModel, pixels: torch.Tensor, labels: torch.Tensor, *, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Return the sum of the cross-entropies of all label tokens by teacher forcing, float32 [].

    Args:
        model: The model, on its device.
        pixels: uint8 [batch, height, width], ink 0, paper 255.
        labels: int64 [batch, longest] on the CPU, padded with `IGNORE_INDEX`, which adds nothing.
        label_smoothing: As `torch.nn.functional.cross_entropy` takes it.
    """
    parts = [part.to(model.device) for part in split_labels(labels)]
    loss: torch.Tensor = TokenLoss(model, label_smoothing=label_smoothing)(pixels, parts)
    return loss
