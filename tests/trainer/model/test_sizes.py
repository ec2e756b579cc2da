"""Pictures smaller than the canvas: what the model sees in the middle must not depend on how large the canvas is."""

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
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.model import set_special_ids
from latexify.trainer.model.positions import unstretched
from latexify.trainer.model.pretrained import load_base
from latexify.trainer.model.sizes import take_smaller_pictures
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


def pictures(width_px: int, height_px: int = 32) -> torch.Tensor:
    """Two noisy pictures as an encoder takes them: float32 [2, 1, height, width]."""
    grey = np.random.default_rng(width_px).uniform(-1, 1, (2, 1, height_px, width_px)).astype(np.float32)
    return torch.from_numpy(grey)


def canvas(height_px: int, width_px: int, *, steps: tuple[int | None, int | None]) -> Geometry:
    """A canvas with steps of height and width."""
    sides = {"height_px": height_px, "width_px": width_px, "height_step_px": steps[0], "width_step_px": steps[1]}
    return Geometry.from_params({**sides, "margin_px": 1.0, "pen_width_px": 1.0})


def _load(
    base: Path, tokenizer: PreTrainedTokenizerFast, *, width_px: int, height_px: int = 32
) -> VisionEncoderDecoderModel:
    return load_base(str(base), tokenizer=tokenizer, height_px=height_px, width_px=width_px, dropout=0.0).eval()


@torch.inference_mode()
@pytest.mark.parametrize(("height_px", "width_px"), [(32, 128), (64, 64), (64, 256)])
def test_a_larger_canvas_changes_nothing_for_pictures_of_the_old_size(
    base: Path, tokenizer: PreTrainedTokenizerFast, height_px: int, width_px: int
) -> None:
    """A model that is moved to a large canvas must not have to learn short formulas again."""
    old, new = _load(base, tokenizer, width_px=64), _load(base, tokenizer, height_px=height_px, width_px=width_px)
    take_smaller_pictures(new, canvas(height_px, width_px, steps=(32, 32)))
    grey = pictures(64)
    expected = encode_by_transformers(old, grey)
    assert torch.allclose(encode_by_transformers(new, grey), expected, atol=2e-4)
    square = new.encoder.embeddings.position_embeddings[0, 1:]
    side = round(len(square) ** 0.5)
    grid = unstretched(square.unflatten(0, (side, side)), rows=height_px // 8, columns=width_px // 8).flatten(0, 1)
    assert torch.cdist(grid, grid).fill_diagonal_(99).min() > 0.5, "every cell of the new canvas has its own position"


@torch.inference_mode()
@pytest.mark.parametrize("size", [(32, 32), (32, 64), (64, 96), (64, 256)])
def test_training_and_inference_encode_small_pictures_alike(
    base: Path, tokenizer: PreTrainedTokenizerFast, size: tuple[int, int]
) -> None:
    """Training runs transformers' encoder, inference our own: with other positions, the model would read badly."""
    model = _load(base, tokenizer, height_px=64, width_px=256)
    take_smaller_pictures(model, canvas(64, 256, steps=(32, 32)))
    ours = make_encoder(model.config.encoder.to_dict(), weights_below(model.state_dict(), "encoder."))
    assert ours is not None
    height_px, width_px = size
    grey = pictures(width_px, height_px)
    expected = encode_by_transformers(model, grey)
    assert expected.shape == (2, 1 + height_px // 8 * width_px // 8, 192)
    assert torch.allclose(ours(grey), expected, atol=2e-4)


@torch.inference_mode()
def test_a_vit_takes_small_pictures(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """TrOCR itself has a ViT."""
    model = VisionEncoderDecoderModel.from_pretrained(make_base(tmp_path, tokenizer, height_px=32)).eval()
    whole = encode_by_transformers(model, pictures(64))
    take_smaller_pictures(model, canvas(32, 64, steps=(16, 16)))
    assert torch.equal(encode_by_transformers(model, pictures(64)), whole)
    weights = weights_below(load_file(tmp_path / "model.safetensors"), "encoder.")
    ours = make_encoder(model.config.encoder.to_dict(), weights)
    assert ours is not None
    grey = pictures(32, 16)
    encoded = encode_by_transformers(model, grey)
    assert encoded.shape == (2, 1 + 2 * 4, 64)
    assert torch.allclose(ours(grey), encoded, atol=1e-4)


def test_steps_that_do_not_fit_are_refused(base: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Half a cell would shift every position."""
    model = _load(base, tokenizer, width_px=128)
    with pytest.raises(LatexifyError, match="width_step_px a multiple of 16"):
        take_smaller_pictures(model, canvas(32, 128, steps=(None, 8)))
    with pytest.raises(LatexifyError, match="height_step_px a multiple of 16"):
        take_smaller_pictures(model, canvas(32, 128, steps=(8, None)))


def test_a_canvas_without_a_square_is_refused(base: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """The encoder keeps a square of positions; the message says which canvases have one."""
    with pytest.raises(LatexifyError, match="powers of two"):
        _load(base, tokenizer, width_px=100)
