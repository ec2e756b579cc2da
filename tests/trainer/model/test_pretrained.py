"""Where training starts: presets, and trained models from a folder or the hub."""

from pathlib import Path

import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    BertConfig,
    DonutSwinConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    TrOCRConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
)

from latexify.common.errors import LatexifyError
from latexify.trainer.config import ModelParams
from latexify.trainer.model.model import has_batch_norm, load_model, make_model, model_input
from latexify.trainer.model.positions import grid_sinusoids
from latexify.trainer.model.presets import PRESETS, build
from latexify.trainer.model.pretrained import base_version, load_base
from latexify.trainer.train import run
from tests.support.trainer_data import make_base, make_shards, make_tokenizer, quick_params

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def latex(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    """Our kind of tokenizer."""
    return make_tokenizer(tmp_path_factory.mktemp("latex"))


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    """The kind of tokenizer that TrOCR's checkpoints have: bytes, merged."""
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(["frac frac xx yy x y 2 + hello"] * 9, vocab_size=290, special_tokens=special)
    folder = tmp_path_factory.mktemp("roberta")
    trained.save_model(str(folder))
    return RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, roberta: PreTrainedTokenizerBase) -> Path:
    """A TrOCR as it lies on the hub, of square pictures, but small."""
    return make_base(tmp_path_factory.mktemp("base"), roberta, height_px=64)


def _load(base: Path | str, tokenizer: PreTrainedTokenizerBase, *, height_px: int = 64) -> VisionEncoderDecoderModel:
    return load_base(str(base), tokenizer=tokenizer, height_px=height_px, width_px=64, dropout=0.25)


def test_a_base_keeps_its_weights_and_its_own_tokenizer(base: Path, roberta: PreTrainedTokenizerBase):
    """Fine-tuning starts from what was learnt, or it is training from scratch at a higher price."""
    model = _load(base, roberta)
    original = VisionEncoderDecoderModel.from_pretrained(base)
    for name, value in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert model.decoder.model.decoder.layers[0].dropout == 0.25
    assert model.encoder.embeddings.dropout.p == 0.25


def test_new_tokens_start_from_what_spells_them(
    base: Path, roberta: PreTrainedTokenizerBase, latex: PreTrainedTokenizerFast
):
    """A LaTeX vocabulary on a model of English: random vectors would throw the decoder's knowledge away."""
    model = _load(base, latex)
    old = VisionEncoderDecoderModel.from_pretrained(base).decoder.get_input_embeddings().weight
    new = model.decoder.get_input_embeddings().weight
    assert new.shape == (len(latex), old.shape[1])
    pieces = roberta.encode("\\frac", add_special_tokens=False)
    assert len(pieces) > 1
    torch.testing.assert_close(new[latex.convert_tokens_to_ids("\\frac")], old[pieces].mean(0))
    assert torch.equal(new[latex.convert_tokens_to_ids("x")], old[roberta.convert_tokens_to_ids("x")])
    assert torch.equal(new[latex.eos_token_id], old[roberta.eos_token_id])
    assert model.decoder.get_output_embeddings().weight is new
    assert model.config.decoder.vocab_size == len(latex)


def test_untied_outputs_follow_too(tmp_path: Path, roberta: PreTrainedTokenizerBase, latex: PreTrainedTokenizerFast):
    """Some checkpoints do not tie: their output vectors then need the same care, and must stay untied."""
    folder = make_base(tmp_path / "base", roberta)
    model = VisionEncoderDecoderModel.from_pretrained(folder)
    model.config.decoder.tie_word_embeddings = False
    output = torch.nn.Linear(64, len(roberta), bias=False)
    model.decoder.set_output_embeddings(output)
    model.save_pretrained(folder)
    fitted = _load(folder, latex, height_px=16)
    found = fitted.decoder.get_output_embeddings().weight
    assert found is not fitted.decoder.get_input_embeddings().weight
    x = latex.convert_tokens_to_ids("x")
    assert torch.equal(found[x], output.weight[roberta.convert_tokens_to_ids("x")])


@pytest.mark.parametrize("height_px", [16, 64, 128])
def test_another_canvas_is_what_interpolation_gives(base: Path, roberta: PreTrainedTokenizerBase, height_px: int):
    """A strip of formula needs no square: the fitted model must read as the base does with interpolation."""
    model = _load(base, roberta, height_px=height_px).eval()
    original = VisionEncoderDecoderModel.from_pretrained(base).eval()
    pixels = model_input(torch.randint(0, 256, (2, height_px, 64), dtype=torch.uint8), model)
    with torch.no_grad():
        expected = original.encoder(pixels, interpolate_pos_encoding=True).last_hidden_state
        torch.testing.assert_close(model.encoder(pixels).last_hidden_state, expected)


def test_a_base_trains_and_its_folder_is_a_base(
    tmp_path: Path, base: Path, latex: PreTrainedTokenizerFast, roberta: PreTrainedTokenizerBase
):
    """The whole way with a foreign base, and again from the result: training in stages."""
    make_tokenizer(tmp_path / "tokenizer")
    make_shards(tmp_path / "shards")
    source = base
    for stage in ("one", "two"):
        run(
            quick_params(max_steps=2, warmup_steps=0),
            ModelParams(base=str(source)),
            seed=1,
            shards=tmp_path / "shards",
            tokenizer=tmp_path / "tokenizer",
            out=tmp_path / stage,
            runs=tmp_path / "runs",
            metrics=tmp_path / "train.json",
            device="cpu",
        )
        source = tmp_path / stage
    assert load_model(source).tokenizer.get_vocab() == latex.get_vocab() != roberta.get_vocab()
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_the_version_of_a_base_is_its_content(tmp_path: Path, latex: PreTrainedTokenizerFast):
    """Another model in the same folder must start another run."""
    folder = make_base(tmp_path / "base", latex)
    before = base_version(str(folder))
    assert base_version(str(folder)) == before
    make_base(folder, latex, size=32)
    assert base_version(str(folder)) != before
    assert base_version("scratch") is None


def test_a_name_that_cannot_be_fetched_is_one_sentence(latex: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch):
    """Without network, or with a typing error, the reason and the remedy fit into a line."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(LatexifyError, match=r"`microsoft/no-such-trocr` cannot be loaded .*check the name") as caught:
        _load("microsoft/no-such-trocr", latex)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("base", ["./no/such/folder", "/no/such/folder"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(latex: PreTrainedTokenizerFast, base: str):
    """A path mistyped would else wait for the network and then speak of repositories."""
    with pytest.raises(LatexifyError, match="is not a folder"):
        _load(base, latex)


def test_an_incomplete_base_is_refused(tmp_path: Path, latex: PreTrainedTokenizerFast):
    """Missing weights are filled by transformers with random numbers and a warning that nobody reads."""
    from safetensors.torch import load_file, save_file

    folder = make_base(tmp_path / "base", latex)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "encoder_attn.q_proj.weight" in name)
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LatexifyError, match=r"lacks 1 weights, such as .*encoder_attn"):
        _load(folder, latex, height_px=16)


def test_a_base_of_another_kind_is_refused(tmp_path: Path, latex: PreTrainedTokenizerFast):
    """BERT reads no pictures."""
    BertConfig(hidden_size=8).save_pretrained(tmp_path)
    with pytest.raises(LatexifyError, match="is no VisionEncoderDecoderModel"):
        _load(tmp_path, latex)


def test_an_encoder_that_cannot_be_resized_is_refused(tmp_path: Path, latex: PreTrainedTokenizerFast):
    """Better than a message about tensor shapes in the middle of the first step."""
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        DonutSwinConfig(image_size=[32, 32], embed_dim=8, depths=[1], num_heads=[1], window_size=2),
        TrOCRConfig(vocab_size=len(latex), d_model=8, decoder_layers=1, decoder_attention_heads=1, decoder_ffn_dim=8),
    )
    VisionEncoderDecoderModel(config=config).save_pretrained(tmp_path)
    latex.save_pretrained(tmp_path)
    with pytest.raises(LatexifyError, match="reads pictures of 32x32 only"):
        _load(tmp_path, latex)


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_a_preset_reads_the_same_after_saving(tmp_path: Path, preset: str):
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
def test_a_hybrid_starts_with_positions_of_its_grid(height_px: int, width_px: int):
    """DPT resizes a square of positions: what arrives at the cells must be the sinusoids."""
    model = build("tiny", vocab_size=20, height_px=height_px, width_px=width_px)
    embeddings = model.encoder.embeddings
    rows, columns = height_px // 8, width_px // 8
    arriving = embeddings._resize_pos_embed(embeddings.position_embeddings, rows, columns)[0, 1:]
    expected = grid_sinusoids(rows, columns, arriving.shape[-1]).flatten(0, 1)
    torch.testing.assert_close(arriving, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("height_px", "width_px"), [(64, 384), (32, 128), (96, 432)])
def test_a_hybrid_tells_places_apart_on_any_canvas(height_px: int, width_px: int):
    """Some canvases have no fine square of positions; neighbours must differ there too, or order is lost."""
    model = build("tiny", vocab_size=20, height_px=height_px, width_px=width_px)
    embeddings = model.encoder.embeddings
    cells = embeddings._resize_pos_embed(embeddings.position_embeddings, height_px // 8, width_px // 8)[0, 1:]
    distances = torch.cdist(cells, cells) + torch.eye(len(cells)) * 1e9
    assert distances.min() > 0.1


def test_the_base_preset_has_the_shape_of_trocr_base():
    """Its curve can be compared with published ones: as many parameters as microsoft/trocr-base-handwritten."""
    encoder, decoder = PRESETS["base"]
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder.config(height_px=384, width_px=384, dropout=0.0),
        decoder.config(vocab_size=50265, encoder_size=encoder.size, dropout=0.0),
    )
    with torch.device("meta"):
        model = VisionEncoderDecoderModel(config=config)
    assert model.num_parameters() == 333_921_792


def test_a_canvas_that_does_not_fit_is_refused(latex: PreTrainedTokenizerFast):
    """Cut-off columns would never be read."""
    with pytest.raises(LatexifyError, match=r"multiples of it \(found 50 and 200\)"):
        make_model(ModelParams(base="scratch"), tokenizer=latex, height_px=50, width_px=200, dropout=0.0, seed=1)


def test_a_canvas_without_a_square_names_the_nearest_that_has_one():
    """The condition is nothing a user can guess; the remedy must be a number that works."""
    with pytest.raises(LatexifyError, match=r"width_px to \d+ or \d+$") as caught:
        build("tiny", vocab_size=20, height_px=96, width_px=512)
    for width in str(caught.value).rsplit(" to ", 1)[1].split(" or "):
        assert build("tiny", vocab_size=20, height_px=96, width_px=int(width)) is not None


def test_the_seed_decides_the_weights(latex: PreTrainedTokenizerFast):
    """Reproducing a run begins with the same first weights."""
    one, same, other = (
        make_model(ModelParams(base="scratch"), tokenizer=latex, height_px=32, width_px=64, dropout=0.0, seed=seed)
        for seed in (1, 1, 2)
    )
    name = "decoder.model.decoder.embed_tokens.weight"
    assert torch.equal(one.state_dict()[name], same.state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize("preset", ["tiny", "small"])
def test_models_with_batch_norm_are_known(preset: str):
    """They get batches of mixed lengths; grouped by length, they read short formulas worst of all."""
    assert has_batch_norm(build(preset, vocab_size=20, height_px=32, width_px=128))


def test_a_vit_has_no_batch_norm(tmp_path: Path):
    """TrOCR itself keeps the batches that save padding."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    make_base(tmp_path / "base", tokenizer)
    model = load_base(str(tmp_path / "base"), tokenizer=tokenizer, height_px=16, width_px=64, dropout=0.0)
    assert not has_batch_norm(model)
