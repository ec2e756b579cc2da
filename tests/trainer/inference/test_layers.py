"""Layers give torch's numbers, packed by oneDNN or not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from latexify.fast import onednn
from latexify.trainer.inference.from_transformers import make_inference_model
from latexify.trainer.inference.layers import Convolution, Linear
from tests.support.reading_models import make_loaded, random_pictures


@pytest.fixture(params=[True, False], ids=["packed", "torch's own"])
def _layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways: packed if this machine can, whether faster or not, and plain as on a GPU."""
    if request.param and not onednn.can_pack(torch.zeros(1, 1)):
        pytest.skip("torch was built without oneDNN, or this is no x86")
    monkeypatch.setattr(onednn, "is_packable", onednn.can_pack if request.param else lambda _: False)


@pytest.mark.usefixtures("_layout")
@pytest.mark.parametrize("rows", [(1,), (7,), (64,), (3, 50)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_linear_layer_is_torchs(rows: tuple[int, ...], *, has_bias: bool) -> None:
    """Weights are packed for one number of rows; the result must be right for others."""
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(40, 24, generator=generator), torch.randn(40, generator=generator)
    hidden = torch.randn(*rows, 24, generator=generator)
    result = Linear(weight, bias if has_bias else None)(hidden)
    assert torch.allclose(result, functional.linear(hidden, weight, bias if has_bias else None), atol=1e-5)


@pytest.mark.usefixtures("_layout")
@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "padding"),
    [
        (1, (7, 7), (2, 2), (3, 3)),
        (8, (3, 3), (1, 1), (1, 1)),
        (8, (1, 1), (2, 2), (0, 0)),
        (1, (4, 8), (4, 8), (0, 0)),
    ],
)
def test_a_convolution_is_torchs(
    channels: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    """The stem, a block's, a shortcut and patches: a wrong shift or stride would spoil every answer."""
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(16, channels, *kernel, generator=generator), torch.randn(16, generator=generator)
    hidden = torch.randn(3, channels, 16, 24, generator=generator)
    convolve = Convolution(weight, bias, stride=stride, padding=padding)
    expected = functional.conv2d(hidden, weight, bias, stride, padding)
    residual = torch.randn(expected.shape, generator=generator)
    assert torch.allclose(convolve(hidden), expected, atol=1e-4)
    assert torch.allclose(convolve.relu(hidden), expected.relu(), atol=1e-4)
    assert torch.allclose(convolve.relu(hidden, residual=residual.clone()), (expected + residual).relu(), atol=1e-4)


@pytest.mark.usefixtures("_layout")
def test_validation_in_another_format_computes_in_float32(tmp_path: Path) -> None:
    """Training validates under autocast, which does not support packed weights."""
    model = make_inference_model(make_loaded("hybrid", tmp_path))
    encoded = model.encode(random_pictures(4).numpy())
    tokens = np.full(4, 2)
    expected = model.decoder.step(model.decoder.start(encoded), tokens)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.decoder.step(model.decoder.start(encoded), tokens)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, expected)
