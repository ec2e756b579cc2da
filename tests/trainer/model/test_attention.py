"""The decoder's fused attention: the function that transformers computes, forward and backward."""

import copy
from pathlib import Path

import pytest
import torch
from transformers import VisionEncoderDecoderModel

from latexify.trainer.loop.loss import token_loss
from latexify.trainer.model.architecture import build
from latexify.trainer.model.attention import fuse_attention
from tests.support.trainer_data import HEIGHT_PX, WIDTH_PX, make_tokenizer

torch.set_num_threads(1)

PIXELS = torch.randint(0, 256, (6, 16, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([[4, 5, 6, 7, 8, 2]] * 3 + [[9, 4, 2, -100, -100, -100]] * 3)


def test_fused_attention_has_the_loss_and_the_gradients_of_the_plain_one(model: VisionEncoderDecoderModel) -> None:
    """The model must learn the same, of padded labels too."""
    plain, fused = model, copy.deepcopy(model)
    fuse_attention(fused)
    losses = []
    for one in (plain, fused):
        loss = token_loss(one.train(), PIXELS, LABELS)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    for (name, one), other in zip(plain.named_parameters(), fused.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-5, msg=name)


def test_fused_attention_takes_fewer_calls(model: VisionEncoderDecoderModel) -> None:
    """Each call is a launch of a kernel; scores of all pairs are never written to memory."""
    calls = []
    for _ in range(2):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            token_loss(model.train(), PIXELS, LABELS)
        calls.append({event.key: event.count for event in profile.key_averages()})
        fuse_attention(model)
    layers = len(model.decoder.model.decoder.layers)
    assert calls[1]["aten::scaled_dot_product_attention"] - calls[0]["aten::scaled_dot_product_attention"] == 2 * layers
    assert calls[0]["aten::bmm"] - calls[1].get("aten::bmm", 0) >= 4 * layers
    assert sum(calls[1].values()) < sum(calls[0].values())


@pytest.mark.parametrize("kind", ["vit", "hybrid"])
def test_the_encoder_attends_by_fused_kernels_too(model: VisionEncoderDecoderModel, tmp_path: Path, kind: str) -> None:
    """Transformers chooses them by itself; a version that no longer does would make training slower without a word."""
    if kind == "hybrid":
        tokens = len(make_tokenizer(tmp_path))
        model = build("tiny", vocab_size=tokens, height_px=HEIGHT_PX, width_px=WIDTH_PX)
    pixels = torch.zeros(2, model.config.encoder.num_channels, 16, 64)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        model.encoder.train()(pixel_values=pixels)
    calls = {event.key: event.count for event in profile.key_averages()}
    assert calls["aten::scaled_dot_product_attention"] == model.config.encoder.num_hidden_layers


def test_weights_and_cached_decoding_do_not_depend_on_it(model: VisionEncoderDecoderModel) -> None:
    """A checkpoint of a GPU continues on a CPU; plain transformers generates from the trained model."""
    fused = copy.deepcopy(model).eval()
    fuse_attention(fused)
    assert fused.state_dict().keys() == model.state_dict().keys()
    values = torch.rand(2, 3, 16, 64, generator=torch.Generator().manual_seed(2))
    found = [one.eval().generate(values, max_length=8, use_cache=True) for one in (model, fused)]
    assert torch.equal(*found)
