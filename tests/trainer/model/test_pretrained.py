"""Trained models to start from, from a folder or the hub."""

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
from latexify.trainer.model.model import has_batch_norm, load_model, model_input
from latexify.trainer.model.pretrained import base_version, load_base
from tests.support.trainer_data import make_base, make_shards, make_tokenizer, train

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


def test_a_base_keeps_its_weights_and_its_own_tokenizer(base: Path, roberta: PreTrainedTokenizerBase) -> None:
    """Fine-tuning starts from what was learnt, or it is training from scratch at a higher price."""
    model = _load(base, roberta)
    original = VisionEncoderDecoderModel.from_pretrained(base)
    for name, value in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name
    assert model.decoder.model.decoder.layers[0].dropout == 0.25
    assert model.encoder.embeddings.dropout.p == 0.25


def test_new_tokens_start_from_what_spells_them(
    base: Path, roberta: PreTrainedTokenizerBase, latex: PreTrainedTokenizerFast
) -> None:
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


def test_untied_outputs_follow_too(
    tmp_path: Path, roberta: PreTrainedTokenizerBase, latex: PreTrainedTokenizerFast
) -> None:
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
def test_another_canvas_is_what_interpolation_gives(
    base: Path, roberta: PreTrainedTokenizerBase, height_px: int
) -> None:
    """A strip of formula needs no square: the fitted model must read as the base does with interpolation."""
    model = _load(base, roberta, height_px=height_px).eval()
    original = VisionEncoderDecoderModel.from_pretrained(base).eval()
    pixels = model_input(torch.randint(0, 256, (2, height_px, 64), dtype=torch.uint8), model)
    with torch.no_grad():
        expected = original.encoder(pixels, interpolate_pos_encoding=True).last_hidden_state
        torch.testing.assert_close(model.encoder(pixels).last_hidden_state, expected)


def test_a_base_trains_and_its_folder_is_a_base(
    tmp_path: Path, base: Path, latex: PreTrainedTokenizerFast, roberta: PreTrainedTokenizerBase
) -> None:
    """The whole way with a foreign base, and again from the result: training in stages."""
    make_tokenizer(tmp_path / "tokenizer")
    make_shards(tmp_path / "shards")
    source = base
    for stage in ("one", "two"):
        train(tmp_path, tmp_path / stage, base=source, runs=tmp_path / "runs", max_steps=2, warmup_steps=0)
        source = tmp_path / stage / "model"
    assert load_model(source).tokenizer.get_vocab() == latex.get_vocab() != roberta.get_vocab()
    assert len(list((tmp_path / "runs").iterdir())) == 2


def test_the_version_of_a_base_is_its_content(tmp_path: Path, latex: PreTrainedTokenizerFast) -> None:
    """Another model in the same folder must start another run."""
    folder = make_base(tmp_path / "base", latex)
    before = base_version(str(folder))
    assert base_version(str(folder)) == before
    make_base(folder, latex, size=32)
    assert base_version(str(folder)) != before
    assert base_version("scratch") is None


def test_a_name_that_cannot_be_fetched_is_one_sentence(
    latex: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without network, or with a typing error, the reason and the remedy fit into a line."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(LatexifyError, match=r"`microsoft/no-such-trocr` cannot be loaded .*check the name") as caught:
        _load("microsoft/no-such-trocr", latex)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("base", ["./no/such/folder", "/no/such/folder"])
def test_a_missing_folder_is_not_looked_for_on_the_hub(latex: PreTrainedTokenizerFast, base: str) -> None:
    """A path mistyped would else wait for the network and then speak of repositories."""
    with pytest.raises(LatexifyError, match="is not a folder"):
        _load(base, latex)


def test_an_incomplete_base_is_refused(tmp_path: Path, latex: PreTrainedTokenizerFast) -> None:
    """Missing weights are filled by transformers with random numbers and a warning that nobody reads."""
    from safetensors.torch import load_file, save_file

    folder = make_base(tmp_path / "base", latex)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "encoder_attn.q_proj.weight" in name)
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LatexifyError, match=r"lacks 1 weights, such as .*encoder_attn"):
        _load(folder, latex, height_px=16)


def test_a_base_of_another_kind_is_refused(tmp_path: Path, latex: PreTrainedTokenizerFast) -> None:
    """BERT reads no pictures."""
    BertConfig(hidden_size=8).save_pretrained(tmp_path)
    with pytest.raises(LatexifyError, match="is not a VisionEncoderDecoderModel"):
        _load(tmp_path, latex)


def test_an_encoder_that_cannot_be_resized_is_refused(tmp_path: Path, latex: PreTrainedTokenizerFast) -> None:
    """Better than a message about tensor shapes in the middle of the first step."""
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        DonutSwinConfig(image_size=[32, 32], embed_dim=8, depths=[1], num_heads=[1], window_size=2),
        TrOCRConfig(vocab_size=len(latex), d_model=8, decoder_layers=1, decoder_attention_heads=1, decoder_ffn_dim=8),
    )
    VisionEncoderDecoderModel(config=config).save_pretrained(tmp_path)
    latex.save_pretrained(tmp_path)
    with pytest.raises(LatexifyError, match="reads pictures of 32x32 only"):
        _load(tmp_path, latex)


def test_a_vit_has_no_batch_norm(tmp_path: Path) -> None:
    """TrOCR itself keeps the batches that save padding."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    make_base(tmp_path / "base", tokenizer)
    model = load_base(str(tmp_path / "base"), tokenizer=tokenizer, height_px=16, width_px=64, dropout=0.0)
    assert not has_batch_norm(model)
