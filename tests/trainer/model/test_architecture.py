"""Presets: their sizes, their positions, and the canvases that they take."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import (
    PreTrainedTokenizerFast,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
)

from latexify.common.errors import LatexifyError
from latexify.trainer.config import ModelParams
from latexify.trainer.model.architecture import build, decoder_config, encoder_config
from latexify.trainer.model.model import has_batch_norm, make_model
from latexify.trainer.model.positions import grid_sinusoids
from latexify.trainer.model.presets import PRESETS
from tests.support.trainer_data import make_tokenizer

torch.set_num_threads(1)
QUICK = [name for name in PRESETS if name != "base"]


@pytest.fixture(scope="module")
def latex(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """Our kind of tokenizer."""
    return make_tokenizer(tmp_path_factory.mktemp("latex"))


@pytest.mark.parametrize("preset", QUICK)
def test_a_preset_reads_the_same_after_saving(tmp_path: Path, preset: str) -> None:
    """Buffers and configuration must all be in the folder, or the deployed model is another one."""
    torch.manual_seed(0)
    model = build(preset, vocab_size=20, height_px=32, width_px=64).eval()
    model.save_pretrained(tmp_path)
    again = VisionEncoderDecoderModel.from_pretrained(tmp_path).eval()
    pixels, ids = torch.rand(2, 3, 32, 64), torch.tensor([[2, 5, 6]] * 2)
    with torch.no_grad():
        one, other = (m(pixel_values=pixels, decoder_input_ids=ids).logits for m in (model, again))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("height_px", "width_px"), [(48, 192), (32, 128), (64, 256), (384, 384), (8, 8)])
def test_a_hybrid_starts_with_positions_of_its_grid(height_px: int, width_px: int) -> None:
    """DPT resizes a square of positions: what arrives at the cells must be the sinusoids."""
    model = build("tiny", vocab_size=20, height_px=height_px, width_px=width_px)
    embeddings = model.encoder.embeddings
    rows, columns = height_px // 8, width_px // 8
    arriving = embeddings._resize_pos_embed(embeddings.position_embeddings, rows, columns)[0, 1:]
    expected = grid_sinusoids(rows, columns, arriving.shape[-1]).flatten(0, 1)
    torch.testing.assert_close(arriving, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("height_px", "width_px"), [(64, 384), (32, 128), (96, 432)])
def test_a_hybrid_tells_places_apart_on_any_canvas(height_px: int, width_px: int) -> None:
    """Some canvases have no fine square of positions; neighbours must differ there too, or order is lost."""
    model = build("tiny", vocab_size=20, height_px=height_px, width_px=width_px)
    embeddings = model.encoder.embeddings
    cells = embeddings._resize_pos_embed(embeddings.position_embeddings, height_px // 8, width_px // 8)[0, 1:]
    distances = torch.cdist(cells, cells) + torch.eye(len(cells)) * 1e9
    assert distances.min() > 0.1


def test_the_base_preset_has_the_shape_of_trocr_base() -> None:
    """Its curve can be compared with published ones: as many parameters as microsoft/trocr-base-handwritten."""
    encoder, decoder = PRESETS["base"]
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder_config(encoder, height_px=384, width_px=384, dropout=0.0),
        decoder_config(decoder, vocab_size=50265, encoder_size=encoder.size, dropout=0.0),
    )
    with torch.device("meta"):
        model = VisionEncoderDecoderModel(config=config)
    assert model.num_parameters() == 333_921_792


def test_a_canvas_that_does_not_fit_is_refused(latex: PreTrainedTokenizerFast) -> None:
    """Cut-off columns would never be read."""
    with pytest.raises(LatexifyError, match=r"multiples of it \(found 50 and 200\)"):
        make_model(ModelParams(base="scratch"), tokenizer=latex, height_px=50, width_px=200, dropout=0.0, seed=1)


def test_a_canvas_without_a_square_names_the_nearest_that_has_one() -> None:
    """The condition is nothing a user can guess; the remedy must be a number that works."""
    with pytest.raises(LatexifyError, match=r"width_px to \d+ or \d+$") as caught:
        build("tiny", vocab_size=20, height_px=96, width_px=512)
    for width in str(caught.value).rsplit(" to ", 1)[1].split(" or "):
        assert build("tiny", vocab_size=20, height_px=96, width_px=int(width)) is not None


def test_the_seed_decides_the_weights(latex: PreTrainedTokenizerFast) -> None:
    """Reproducing a run begins with the same first weights."""
    one, same, other = (
        make_model(ModelParams(base="scratch"), tokenizer=latex, height_px=32, width_px=64, dropout=0.0, seed=seed)
        for seed in (1, 1, 2)
    )
    name = "decoder.model.decoder.embed_tokens.weight"
    assert torch.equal(one.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_models_with_batch_norm_are_known(preset: str) -> None:
    """They get batches of mixed lengths; grouped by length, they read short formulas worst of all."""
    assert has_batch_norm(build(preset, vocab_size=20, height_px=32, width_px=128))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_built(preset: str) -> None:
    """A new preset with a size that its heads do not divide would fail only when somebody trains it."""
    with torch.device("meta"):
        model = build(preset, vocab_size=20, height_px=64, width_px=256)
    assert ModelParams(preset=preset).preset == preset
    assert model.num_parameters() > 1e6


def test_an_unknown_preset_is_one_line_with_the_known_ones() -> None:
    """The names of the presets are in one place, and parameters are checked against it."""
    known = ", ".join(f"`{name}`" for name in PRESETS)
    with pytest.raises(ValidationError, match=f"must be one of {known}"):
        ModelParams(preset="huge")
