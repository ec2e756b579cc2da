"""The encoder's attention in pieces: the function that torch computes, forward and backward."""

from typing import TypeAlias

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from latexify.trainer.model import cpu_attention
from latexify.trainer.model.cpu_attention import attend_in_pieces

torch.set_num_threads(1)

Heads: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def make_heads(*, batch: int, cells: int, dtype: torch.dtype = torch.float64) -> Heads:
    """Random queries, keys and values of two heads of 8."""
    generator = torch.Generator().manual_seed(batch * cells)
    shape = (batch, 2, cells, 8)
    query, key, value = (torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for _ in range(3))
    return query, key, value


@pytest.mark.parametrize("piece_scores", [1, 300, 10**9])
@pytest.mark.parametrize(("batch", "cells"), [(1, 1), (5, 7), (4, 12)])
def test_pieces_have_the_result_and_the_gradients_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, batch: int, cells: int, piece_scores: int
) -> None:
    """However many samples a piece has, down to one."""
    monkeypatch.setattr(cpu_attention, "PIECE_SCORES", piece_scores)
    heads = make_heads(batch=batch, cells=cells)
    whole = scaled_dot_product_attention(*heads).transpose(1, 2)
    found, weights = attend_in_pieces(nn.Identity(), *heads, None)
    assert weights is None
    torch.testing.assert_close(found, whole)
    factor = torch.randn(whole.shape, generator=torch.Generator().manual_seed(1), dtype=whole.dtype)
    for one, other in zip(
        torch.autograd.grad((found * factor).sum(), heads),
        torch.autograd.grad((whole * factor).sum(), heads),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_bfloat16_is_as_close_to_float64_as_torchs_own() -> None:
    """Scores that are rounded to bfloat16 must not cost more than its fused kernel does."""
    exact = make_heads(batch=8, cells=64)
    wanted = scaled_dot_product_attention(*exact).transpose(1, 2)
    query, key, value = (part.detach().bfloat16() for part in exact)
    errors = [
        (found.double() - wanted).pow(2).mean().sqrt().item()
        for found in (
            attend_in_pieces(nn.Identity(), query, key, value, None)[0],
            scaled_dot_product_attention(query, key, value).transpose(1, 2),
        )
    ]
    assert errors[0] < 1.5 * errors[1]


def test_a_mask_and_a_large_picture_are_left_to_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask must not be ignored in silence; the scores of TrOCR's 577 cells would take gigabytes."""
    query, key, value = make_heads(batch=2, cells=6)
    mask = torch.zeros(2, 1, 6, 6, dtype=query.dtype)
    mask[..., 3:] = -torch.inf
    found, _ = attend_in_pieces(nn.Identity(), query, key, value, mask)
    torch.testing.assert_close(found, scaled_dot_product_attention(query, key, value, mask).transpose(1, 2))
    monkeypatch.setattr(cpu_attention, "MAX_CELLS", 5)
    monkeypatch.setattr(cpu_attention, "PIECE_SCORES", 0)  # would divide the batch
    calls: list[object] = []

    def count(_: nn.Module, query: torch.Tensor, *others: object, **named: object) -> tuple[torch.Tensor, None]:
        calls.append((others, named))
        return query, None

    monkeypatch.setattr(cpu_attention, "sdpa_attention_forward", count)
    attend_in_pieces(nn.Identity(), query, key, value, None)
    assert len(calls) == 1


def test_weights_are_dropped_in_training_alone() -> None:
    """`train.dropout` is that of attention, too."""
    heads = make_heads(batch=2, cells=6)
    layer = nn.Identity()
    torch.manual_seed(0)
    dropped, _ = attend_in_pieces(layer.train(), *heads, None, dropout=0.5)
    whole, _ = attend_in_pieces(layer.train(), *heads, None)
    evaluated, _ = attend_in_pieces(layer.eval(), *heads, None, dropout=0.5)
    assert not torch.allclose(dropped, whole)
    torch.testing.assert_close(evaluated, whole)
