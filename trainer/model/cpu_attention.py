"""The encoder's attention in bfloat16 on a CPU, in pieces whose scores stay in the cache."""

from typing import Any

import torch
from torch import nn
from transformers import AttentionInterface, VisionEncoderDecoderModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "latexify_pieces"
MAX_CELLS = 512
"""With more cells of the picture, as in TrOCR's 577, the scores that the backward pass needs take gigabytes."""
PIECE_SCORES = 400_000
"""Scores of a piece, of which there are batch x heads x cells x cells. They take 0.8 MB, as a core's cache."""


def attend_in_pieces(  # noqa: PLR0913  # the arguments are transformers'
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Compute attention over all cells, a few samples at a time.

    It is faster than torch's fused kernel on a core with AVX512-BF16: three times and more up to 64 cells, twice at
    128, and less for larger pictures (`python -m benchmarks.studies.attention`).

    Args:
        module: The layer, which says whether it is in training.
        query: [batch, heads, cells, size of a head]; `key` and `value` likewise.
        key: See `query`.
        value: See `query`.
        attention_mask: None; with a mask, transformers' own function is used.
        dropout: Probability that a weight is dropped.
        scaling: Factor of the scores; by default one over the root of the size of a head.
        kwargs: What transformers passes to each such function.

    Returns:
        The mixed values, [batch, cells, heads, size of a head], and None for the weights, as transformers expects.
    """
    batch, heads, cells, size = query.shape
    if attention_mask is not None or cells > MAX_CELLS:
        mixed, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return mixed, None
    query = query * (size**-0.5 if scaling is None else scaling)
    samples = max(1, PIECE_SCORES // (heads * cells**2))
    pieces = []
    for begin in range(0, batch, samples):
        part = slice(begin, begin + samples)
        weights = (query[part] @ key[part].transpose(-1, -2)).softmax(-1)
        weights = nn.functional.dropout(weights, dropout, training=module.training)
        pieces.append(weights @ value[part])
    return torch.cat(pieces).transpose(1, 2).contiguous(), None


def attend_by_pieces(model: VisionEncoderDecoderModel) -> None:
    """Let the encoder use `attend_in_pieces`. Weights and exported files do not depend on it."""
    AttentionInterface.register(NAME, attend_in_pieces)
    model.encoder.set_attn_implementation(NAME)
