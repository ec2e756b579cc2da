"""The decoder's attention by torch's fused kernels, for training; transformers has none for TrOCR."""

import torch
from torch import nn
from transformers import VisionEncoderDecoderModel
from transformers.models.trocr.modeling_trocr import TrOCRAttention
from typing_extensions import override


class _FusedAttention(TrOCRAttention):  # type: ignore[misc]  # transformers has no types for it
    """The same function of the same weights, for whole labels: every position sees itself and what is before it."""

    @override
    def forward(
        self,
        hidden_states: torch.Tensor,
        key_value_states: torch.Tensor | None = None,
        past_key_values: object = None,
        attention_mask: torch.Tensor | None = None,
        output_attentions: bool | None = False,
        **kwargs: object,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        if past_key_values is not None or output_attentions:
            found: tuple[torch.Tensor, torch.Tensor | None] = super().forward(
                hidden_states, key_value_states, past_key_values, attention_mask, output_attentions, **kwargs
            )
            return found
        source = hidden_states if key_value_states is None else key_value_states
        mixed = nn.functional.scaled_dot_product_attention(
            self._heads(self.q_proj(hidden_states)),
            self._heads(self.k_proj(source)),
            self._heads(self.v_proj(source)),
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=key_value_states is None,
        )
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), None

    def _heads(self, states: torch.Tensor) -> torch.Tensor:
        """Split [batch, length, size] into [batch, heads, length, size of a head]."""
        return states.view(*states.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)


def fuse_attention(model: VisionEncoderDecoderModel) -> None:
    """Let the decoder of a model that is trained compute its attention by fused kernels.

    It then takes whole labels without a mask of its own, padded at their end, as training does. Weights, their names
    and the configuration stay, so checkpoints and exports do not depend on it.
    """
    for module in model.decoder.modules():
        if type(module) is TrOCRAttention:
            # the class alone changes, so that the names of the weights stay
            module.__class__ = _FusedAttention
