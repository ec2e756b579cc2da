"""Every published kind of TrOCR goes through the loading, fitting, training and saving that its name asks for."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase, VisionEncoderDecoderModel
from transformers.models.trocr.modeling_trocr import TrOCRSinusoidalPositionalEmbedding

from latexify.pipeline.vocab.tokenizer import encode_labels, load_base_tokenizer
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.data.collate import IGNORE_INDEX, collate
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.optim import freeze, layer_scales, make_optimizer, set_training
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.model import LoadedModel, load_model, set_special_ids
from latexify.trainer.model.pretrained import load_base
from tests.support.reading_models import best_of
from tests.support.trainer_data import (
    HEIGHT_PX,
    SYMBOLS,
    WIDTH_PX,
    draw,
    make_base,
    make_shards,
    make_tokenizer,
    quick_params,
    train,
)
from tests.support.trocr_family import KINDS, make_checkpoint, roberta

torch.set_num_threads(1)

LABELS = [r"\frac{x}{2}", "x+y", r"\sqrt{2}"]


@pytest.fixture(scope="module", params=KINDS)
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each kind."""
    return make_checkpoint(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def latex(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    """Our own kind of tokenizer."""
    return make_tokenizer(tmp_path_factory.mktemp("latex"))


def fitted(checkpoint: Path, tokenizer: PreTrainedTokenizerBase) -> VisionEncoderDecoderModel:
    """The checkpoint at another canvas, as the train stage takes it."""
    model = load_base(str(checkpoint), tokenizer=tokenizer, height_px=HEIGHT_PX, width_px=WIDTH_PX, dropout=0.0)
    set_special_ids(model, tokenizer)
    return model.eval()


def batch_of(tokenizer: PreTrainedTokenizerBase) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pictures with real labels, encoded as the rasterize stage does."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (len(LABELS), HEIGHT_PX, WIDTH_PX), dtype=torch.uint8, generator=generator)
    return pixels, padded(encode_labels(tokenizer, LABELS))


def padded(ids: list[npt.NDArray[np.int32]]) -> torch.Tensor:
    """Labels as the loader makes them."""
    labels = torch.full((len(ids), max(map(len, ids))), IGNORE_INDEX)
    for row, sequence in zip(labels, ids, strict=True):
        row[: len(sequence)] = torch.from_numpy(sequence)
    return labels


@pytest.mark.parametrize("vocabulary", ["own", "latex"])
def test_every_kind_learns_and_reads_at_another_canvas(
    checkpoint: Path, latex: PreTrainedTokenizerBase, vocabulary: str
) -> None:
    """A checkpoint whose positions, special ids or embeddings are fitted wrongly learns nothing, without an error."""
    tokenizer = load_base_tokenizer(str(checkpoint)) if vocabulary == "own" else latex
    model = fitted(checkpoint, tokenizer)
    pixels, labels = batch_of(tokenizer)
    params = quick_params(learning_rate=3e-3)
    freeze(model, params)
    optimizer = make_optimizer(model, params)
    losses = []
    for _ in range(60):
        set_training(model, params)
        loss = token_loss(model, pixels, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    geometry = Geometry(height_px=HEIGHT_PX, width_px=WIDTH_PX, margin_px=2, pen_width_px=1.5, max_stroke_px=None)
    loaded = LoadedModel(model=model.eval(), tokenizer=tokenizer, geometry=geometry, fingerprint="")
    decoded = best_of(loaded, pixels, max_tokens=40)
    expected = [row[row != IGNORE_INDEX][:-1].tolist() for row in labels]
    assert [best.ids for best in decoded] == expected


def test_every_kind_is_the_same_after_the_stage_saved_it(
    checkpoint: Path, tmp_path: Path, latex: PreTrainedTokenizerBase
) -> None:
    """The whole stage, and its folder read by transformers alone: nothing may hang on how we made the model."""
    make_tokenizer(tmp_path / "tokenizer")
    make_shards(tmp_path / "shards")
    summary = train(tmp_path, tmp_path, base=checkpoint, max_steps=2, warmup_steps=0)
    assert summary["steps"] == 2
    index = open_split(tmp_path / "shards", "valid")
    with SampleReader(index) as reader:
        pixels, labels = collate(reader.read(range(4)))
    loaded = load_model(tmp_path / "model")
    ours = token_loss(loaded.model, pixels, labels)
    plain = VisionEncoderDecoderModel.from_pretrained(tmp_path / "model").eval()
    assert torch.equal(token_loss(plain, pixels, labels), ours)
    assert AutoTokenizer.from_pretrained(tmp_path / "model").get_vocab() == latex.get_vocab()
    assert plain.config.encoder.image_size == [HEIGHT_PX, WIDTH_PX]


def test_ties_and_positions_of_the_decoder_are_kept(checkpoint: Path, latex: PreTrainedTokenizerBase) -> None:
    """An output that comes loose from its embeddings is trained twice; positions start over if they are replaced."""
    original = VisionEncoderDecoderModel.from_pretrained(checkpoint)
    model = fitted(checkpoint, latex)

    def tied(one: VisionEncoderDecoderModel) -> bool:
        return one.decoder.get_output_embeddings().weight is one.decoder.get_input_embeddings().weight

    assert tied(model) == tied(original) == original.config.decoder.tie_word_embeddings
    config = original.config.decoder
    positions = model.decoder.model.decoder.embed_positions.weight
    if config.use_learned_position_embeddings:
        assert torch.equal(positions, original.decoder.model.decoder.embed_positions.weight)
    else:
        computed = TrOCRSinusoidalPositionalEmbedding(len(positions), config.d_model, config.pad_token_id)
        ids = torch.full((1, config.max_position_embeddings), 5)
        assert torch.equal(positions[2:], computed(ids)[0])


def test_a_frozen_part_does_not_move(checkpoint: Path, latex: PreTrainedTokenizerBase) -> None:
    """Freezing is asked for to spare memory or what was learnt; a part that moves all the same does neither."""
    params = quick_params(freeze=["encoder", "embeddings"])
    model = fitted(checkpoint, latex)
    freeze(model, params)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = make_optimizer(model, params)
    set_training(model, params)
    assert not model.encoder.training
    assert model.decoder.training
    token_loss(model, *batch_of(latex)).backward()  # type: ignore[no-untyped-call]  # torch has no types for it
    optimizer.step()
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert moved
    assert all(
        name.startswith("decoder.model.decoder.layers")
        or "enc_to_dec" in name
        or "embed_positions" in name
        or "layernorm_embedding" in name
        for name in moved
    )


def test_lower_layers_learn_more_slowly(checkpoint: Path, latex: PreTrainedTokenizerBase) -> None:
    """The names of layers differ between the kinds; a name that is not known would get the full rate."""
    model = fitted(checkpoint, latex)
    scales = layer_scales(model, layerwise_lr_decay=0.5)
    assert scales["encoder.embeddings.position_embeddings"] == 0.25
    assert scales["encoder.layers.0.mlp.fc1.weight"] == 0.5
    assert scales["encoder.layers.1.mlp.fc1.weight"] == 1
    assert scales["encoder.layernorm.weight"] == 1
    assert scales["decoder.model.decoder.layers.0.fc1.weight"] == 0.5
    assert scales["decoder.model.decoder.layers.1.fc1.weight"] == 1
    tied = model.config.decoder.tie_word_embeddings
    assert scales["decoder.model.decoder.embed_tokens.weight"] == (1 if tied else 0.25)


def test_new_rows_made_of_pieces_learn_faster_than_random_ones(tmp_path: Path, latex: PreTrainedTokenizerBase) -> None:
    """The reason for fitting the vocabulary: what the base knows of `x` and `+` must not be learnt anew."""
    tokenizer = roberta(tmp_path / "roberta")
    base = make_base(tmp_path / "base", tokenizer)
    reader = load_base(str(base), tokenizer=tokenizer, height_px=HEIGHT_PX, width_px=WIDTH_PX, dropout=0.0)
    set_special_ids(reader, tokenizer)
    assert teach(reader, tokenizer, steps=120)[-1] < 0.5
    reader.save_pretrained(base)
    losses = {}
    for rows in ("pieces", "random"):
        model = load_base(str(base), tokenizer=latex, height_px=HEIGHT_PX, width_px=WIDTH_PX, dropout=0.0)
        set_special_ids(model, latex)
        if rows == "random":
            torch.nn.init.normal_(model.decoder.get_input_embeddings().weight, std=model.config.decoder.init_std)
        losses[rows] = teach(model, latex, steps=20)
    assert losses["pieces"][-1] < losses["random"][-1]
    assert sum(losses["pieces"]) < sum(losses["random"])


def teach(model: VisionEncoderDecoderModel, tokenizer: PreTrainedTokenizerBase, *, steps: int) -> list[float]:
    """Train on formulas of bars; the loss per token of each step."""
    torch.manual_seed(0)
    params = quick_params(learning_rate=3e-3)
    optimizer = make_optimizer(model, params)
    losses = []
    for step in range(steps):
        formulas = [[(7 * step + 3 * n + 5 * place) % len(SYMBOLS) for place in range(1 + n % 5)] for n in range(24)]
        pixels = torch.stack([torch.from_numpy(draw(formula)) for formula in formulas])
        labels = padded(encode_labels(tokenizer, ["".join(SYMBOLS[s] for s in formula) for formula in formulas]))
        loss = token_loss(model.train(), pixels, labels) / (labels != IGNORE_INDEX).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        optimizer.step()
        losses.append(loss.item())
    return losses
