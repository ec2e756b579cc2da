"""Pictures narrower than the canvas: what the model sees in the middle must not depend on how wide the canvas is."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderModel

from latexify.common.errors import LatexifyError
from latexify.trainer.inference.encoder import make_encoder
from latexify.trainer.inference.from_torch import weights_below
from latexify.trainer.inference.from_transformers import encode_by_transformers
from latexify.trainer.model.architecture import build
from latexify.trainer.model.model import set_special_ids
from latexify.trainer.model.pretrained import load_base
from latexify.trainer.model.widths import take_narrow_pictures
from tests.support.trainer_data import make_base, make_tokenizer

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """Our kind of tokenizer."""
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A model of one of our presets, whose positions are no longer those that it began with."""
    torch.manual_seed(3)
    model = build("tiny", vocab_size=len(tokenizer), height_px=32, width_px=64)
    set_special_ids(model, tokenizer)
    with torch.no_grad():
        model.encoder.embeddings.position_embeddings += 0.1 * torch.randn_like(
            model.encoder.embeddings.position_embeddings
        )
    folder = tmp_path_factory.mktemp("base")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def pictures(width_px: int) -> torch.Tensor:
    """Two noisy pictures as an encoder takes them: float32 [2, 1, 32, width]."""
    grey = np.random.default_rng(width_px).uniform(-1, 1, (2, 1, 32, width_px)).astype(np.float32)
    return torch.from_numpy(grey)


def _load(base: Path, tokenizer: PreTrainedTokenizerFast, *, width_px: int) -> VisionEncoderDecoderModel:
    return load_base(str(base), tokenizer=tokenizer, height_px=32, width_px=width_px, dropout=0.0).eval()


@torch.inference_mode()
def test_a_wider_canvas_changes_nothing_for_pictures_of_the_old_width(
    base: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    """A model that is moved to a wide canvas must not have to learn short formulas again."""
    old, new = _load(base, tokenizer, width_px=64), _load(base, tokenizer, width_px=128)
    take_narrow_pictures(new, step_px=32)
    grey = pictures(64)
    expected = encode_by_transformers(old, grey)
    assert torch.allclose(encode_by_transformers(new, grey), expected, atol=2e-4)


@torch.inference_mode()
@pytest.mark.parametrize("width_px", [32, 64, 96, 128])
def test_training_and_inference_encode_narrow_pictures_alike(
    base: Path, tokenizer: PreTrainedTokenizerFast, width_px: int
) -> None:
    """Training runs transformers' encoder, inference our own: with other positions, the model would read badly."""
    model = _load(base, tokenizer, width_px=128)
    take_narrow_pictures(model, step_px=32)
    ours = make_encoder(model.config.encoder.to_dict(), weights_below(model.state_dict(), "encoder."))
    assert ours is not None
    grey = pictures(width_px)
    expected = encode_by_transformers(model, grey)
    assert expected.shape == (2, 1 + 4 * width_px // 8, 192)
    assert torch.allclose(ours(grey), expected, atol=2e-4)


@torch.inference_mode()
def test_a_vit_takes_narrow_pictures(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """TrOCR itself has a ViT."""
    model = VisionEncoderDecoderModel.from_pretrained(make_base(tmp_path, tokenizer, height_px=32)).eval()
    whole = encode_by_transformers(model, pictures(64))
    take_narrow_pictures(model, step_px=16)
    assert torch.equal(encode_by_transformers(model, pictures(64)), whole)
    weights = weights_below(load_file(tmp_path / "model.safetensors"), "encoder.")
    ours = make_encoder(model.config.encoder.to_dict(), weights)
    assert ours is not None
    grey = pictures(32)
    encoded = encode_by_transformers(model, grey)
    assert encoded.shape == (2, 1 + 4 * 4, 64)
    assert torch.allclose(ours(grey), encoded, atol=1e-4)


def test_steps_that_do_not_fit_are_refused(base: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Half a cell would shift every position."""
    with pytest.raises(LatexifyError, match="multiple of 16"):
        take_narrow_pictures(_load(base, tokenizer, width_px=128), step_px=8)


def test_a_width_without_a_square_is_refused(base: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """The encoder keeps a square of positions; the message says which widths have one."""
    with pytest.raises(LatexifyError, match=r"rasterize\.width_px a power of two"):
        _load(base, tokenizer, width_px=100)
