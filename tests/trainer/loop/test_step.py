"""One optimizer step: what is summed, divided, ignored and decayed."""

import math
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast, VisionEncoderDecoderModel

from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.config import ModelParams
from latexify.trainer.data.batches import MicroBatch, open_loader
from latexify.trainer.data.collate import IGNORE_INDEX, collate
from latexify.trainer.data.specs import Position, micro_batch_specs
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.optim import learning_rate, make_optimizer
from latexify.trainer.loop.precision import Precision, choose_device, choose_precision
from latexify.trainer.loop.step import NonFiniteError, Stepper
from latexify.trainer.model.model import make_model, set_special_ids
from tests.support.trainer_data import make_base, make_shards, make_tokenizer, quick_params

torch.set_num_threads(1)
CPU = Precision(name="fp32", device=torch.device("cpu"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory):
    """Forty samples."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    make_shards(folder)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory):
    """A small TrOCR and its tokenizer."""
    folder = tmp_path_factory.mktemp("base")
    tokenizer = make_tokenizer(folder / "tokenizer")
    return make_base(folder / "model", tokenizer), tokenizer


@pytest.fixture
def model(base: tuple[Path, PreTrainedTokenizerFast]):
    """Made from the base, as the stage makes it."""
    folder, tokenizer = base
    return make_model(
        ModelParams(base=str(folder)), tokenizer=tokenizer, height_px=16, width_px=64, dropout=0.0, seed=1
    )


def _global_batch(shards: Path, *, micro_batch: int) -> list[MicroBatch]:
    index = open_split(shards, "train")
    found = []
    for part in micro_batch_specs(index, quick_params(micro_batch=micro_batch), seed=1, start=Position()):
        pixels, labels = collate(SampleReader(index).read(part.rows))
        found.append(MicroBatch(pixels=pixels, labels=labels, slice=part))
        if part.is_last:
            return found
    raise AssertionError


@pytest.mark.parametrize("micro_batch", [1, 3, 5])
def test_micro_batches_give_the_gradient_of_the_whole_batch(
    model: VisionEncoderDecoderModel, shards: Path, micro_batch: int
):
    """Otherwise a smaller graphics card would train another model: long labels of a small micro-batch weigh less."""
    gradients = []
    for size in (8, micro_batch):
        stepper = Stepper(model, quick_params(max_grad_norm=1e9), precision=CPU, seed=1)
        stepper.optimizer.step = lambda *_, **__: None  # keep the weights
        result = stepper.step(_global_batch(shards, micro_batch=size), learning_rate=0.0)
        gradients.append((result, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    (whole, expected), (parts, found) = gradients
    assert parts.loss_sum == pytest.approx(whole.loss_sum, rel=1e-5)
    assert parts.num_tokens == whole.num_tokens
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_padding_does_not_change_the_loss(model: VisionEncoderDecoderModel, shards: Path):
    """A loss on padding teaches the model to write padding, the defect of the code this project started from."""
    micro = _global_batch(shards, micro_batch=8)[0]
    padded = torch.nn.functional.pad(micro.labels, (0, 7), value=IGNORE_INDEX)
    model.eval()
    assert token_loss(model, micro.pixels, padded).item() == pytest.approx(
        token_loss(model, micro.pixels, micro.labels).item(), rel=1e-5
    )
    alone = sum(
        token_loss(model, micro.pixels[i : i + 1], micro.labels[i : i + 1, : (micro.labels[i] != IGNORE_INDEX).sum()])
        for i in range(len(micro.labels))
    )
    assert alone.item() == pytest.approx(token_loss(model, micro.pixels, micro.labels).item(), rel=1e-4)


def test_the_decoder_sees_the_label_one_step_late(model: VisionEncoderDecoderModel, shards: Path):
    """Shifting twice, or not at all, trains a model that reads nothing."""
    micro = _global_batch(shards, micro_batch=8)[0]
    model.eval()
    seen = {}
    model.decoder.register_forward_pre_hook(lambda _m, _a, kwargs: seen.update(kwargs), with_kwargs=True)
    token_loss(model, micro.pixels, micro.labels)
    fed = seen["input_ids"]
    assert (fed[:, 0] == 2).all()
    valid = micro.labels[:, :-1] != IGNORE_INDEX
    assert torch.equal(fed[:, 1:][valid], micro.labels[:, :-1][valid])
    assert (fed[:, 1:][~valid] == 1).all()


def test_special_ids_are_those_of_the_tokenizer(model: VisionEncoderDecoderModel):
    """TrOCR starts with the end id; starting with `<s>` as its config class says costs accuracy silently."""
    for config in (model.config, model.config.decoder, model.generation_config):
        assert (config.decoder_start_token_id, config.pad_token_id, config.eos_token_id) == (2, 1, 2)
    assert model.generation_config.no_repeat_ngram_size is None  # the base folder said 3
    assert model.generation_config.max_length == 32


def test_label_smoothing_is_used(model: VisionEncoderDecoderModel, shards: Path):
    """A parameter that does nothing misleads whoever tunes it."""
    micro = _global_batch(shards, micro_batch=8)[0]
    model.eval()
    plain = token_loss(model, micro.pixels, micro.labels)
    assert token_loss(model, micro.pixels, micro.labels, label_smoothing=0.5) != plain


def test_biases_norms_and_embeddings_do_not_decay(model: VisionEncoderDecoderModel):
    """Decay on them pulls rare tokens and norms to zero."""
    decayed, exempt = make_optimizer(model, quick_params(weight_decay=0.3)).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert decayed["weight_decay"] == 0.3
    assert exempt["weight_decay"] == 0.0
    for name in (names[id(p)] for p in decayed["params"]):
        assert name.endswith("weight")
        assert "norm" not in name
        assert "embed_" not in name
    exempt_names = {names[id(p)] for p in exempt["params"]}
    assert "encoder.embeddings.position_embeddings" in exempt_names
    assert "decoder.model.decoder.embed_tokens.weight" in exempt_names
    assert len(decayed["params"]) + len(exempt["params"]) == len(list(model.parameters()))


def test_a_loss_that_is_not_finite_changes_nothing(model: VisionEncoderDecoderModel, shards: Path):
    """Otherwise one bad batch turns every weight into NaN, and hours later someone notices."""
    stepper = Stepper(model, quick_params(), precision=CPU, seed=1)
    with torch.no_grad():
        model.encoder.layernorm.weight[0] = math.nan
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(NonFiniteError):
        stepper.step(_global_batch(shards, micro_batch=8), learning_rate=1.0)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], equal_nan=True, rtol=0, atol=0)


def test_an_overflow_in_fp16_skips_the_step(model: VisionEncoderDecoderModel, shards: Path):
    """fp16 training meets overflows; taking the step destroys the weights, and counting it moves the schedule."""
    stepper = Stepper(model, quick_params(), precision=replace(CPU, name="fp16"), seed=1)
    stepper.scaler = torch.amp.GradScaler("cpu", init_scale=1e38)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    batch = _global_batch(shards, micro_batch=8)
    result = stepper.step(batch, learning_rate=1e-3)
    assert not result.applied
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert stepper.scaler.get_scale() < 1e38
    stepper.scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
    assert stepper.step(batch, learning_rate=1e-3).applied
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("workers", [0, 2])
def test_the_order_does_not_depend_on_the_workers(shards: Path, workers: int):
    """Else a machine with more cores would train another model."""
    index = open_split(shards, "train")
    params = quick_params(loader_workers=workers)
    expected = micro_batch_specs(index, params, seed=3, start=Position(epoch=0, batch=3))
    loader = open_loader(index, params, seed=3, start=Position(epoch=0, batch=3), pin_memory=False)
    reader = SampleReader(index)
    for _, batch, part in zip(range(12), loader, expected, strict=False):
        assert np.array_equal(batch.spec.rows, part.rows)
        pixels, labels = collate(reader.read(part.rows))
        assert torch.equal(batch.pixels, pixels)
        assert torch.equal(batch.labels, labels)


@given(start=st.integers(0, 30))
def test_resuming_is_slicing(shards: Path, start: int):
    """Going on from any batch gives what would have come there: a resumed run sees each sample as often as any."""
    index = open_split(shards, "train")
    params = quick_params()
    whole = list(islice(micro_batch_specs(index, params, seed=1, start=Position()), 80))
    ends = [part for part in whole if part.is_last]
    position = ends[start].next_position
    resumed = micro_batch_specs(index, params, seed=1, start=position)
    after = whole[next(i for i, part in enumerate(whole) if part is ends[start]) + 1]
    first = next(resumed)
    assert np.array_equal(first.rows, after.rows)
    assert first.position == after.position == position


def test_the_curriculum_goes_from_short_to_long(shards: Path):
    """A curriculum that never ends, or never starts, is not the one that was asked for."""
    index = open_split(shards, "train")
    first = micro_batch_specs(index, quick_params(curriculum_epochs=1, micro_batch=8), seed=1, start=Position())
    per_epoch = [[int(index.num_tokens[next(first).rows].max()) for _ in range(5)] for _ in range(2)]
    assert per_epoch[0] == sorted(per_epoch[0])
    assert per_epoch[1] != sorted(per_epoch[1])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", {9: 10 / 11, 10: 1.0, 99: 1.0}),
        ("cosine", {0: 1 / 11, 10: 1.0, 55: 0.5, 99: 0.5 * (1 + math.cos(math.pi * 89 / 90))}),
        ("wsd", {10: 1.0, 79: 1.0, 80: 1.0, 90: 0.5, 99: 0.05}),
    ],
)
def test_schedules(schedule: str, expected: dict[int, float]):
    """The curve that was asked for, in optimizer steps."""
    params = quick_params(max_steps=100, warmup_steps=10, learning_rate=2.0, schedule=schedule)
    for step, share in expected.items():
        assert learning_rate(step, params) == pytest.approx(2 * share)


def test_precision_follows_the_device(monkeypatch: pytest.MonkeyPatch):
    """bf16 on a processor that emulates it is thirty times slower; on a T4 it is not there at all."""
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    for flags, name in (
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": True}, "bf16"),
        ({"architecture": "arm64", "bf16": True}, "fp32"),
        ({}, "fp32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=flags: found)
        assert choose_precision("auto", device=cpu).name == name
    for capability, name in (((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device, found=capability: found)
        assert choose_precision("auto", device=cuda).name == name
    assert choose_precision("bf16", device=cpu).name == "bf16"
    assert choose_precision("fp16", device=cuda).needs_scaler


def test_the_precision_of_a_processor_is_what_it_is_fast_in():
    """Against the flags' being wrong: where `auto` is bf16 a product of matrices must take less time in it."""
    if choose_precision("auto", device=torch.device("cpu")).name != "bf16":
        pytest.skip("this processor has no instructions for bfloat16")
    factors = {dtype: torch.ones(512, 512, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
    times: dict[torch.dtype, list[float]] = {dtype: [] for dtype in factors}
    for _ in range(20):
        for dtype, factor in factors.items():
            started = time.process_time()
            factor @ factor
            times[dtype].append(time.process_time() - started)
    assert min(times[torch.bfloat16]) < min(times[torch.float32])


def test_an_unusable_device_is_one_sentence():
    """A traceback from the middle of torch does not say what to type."""
    for name in ("cuda:77", "cpuu"):
        with pytest.raises(ValueError, match=f"device '{name}' cannot be used .* try --device cpu"):
            choose_device(name)


def test_special_ids_follow_another_tokenizer(
    model: VisionEncoderDecoderModel, base: tuple[Path, PreTrainedTokenizerFast]
):
    """Base tokenizers have other ids than ours; a wrong end id never ends."""
    _, tokenizer = base
    roles = {"bos_token": "x", "pad_token": "y", "eos_token": "2"}
    other = PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, **roles)
    set_special_ids(model, other)
    assert model.generation_config.decoder_start_token_id == model.generation_config.eos_token_id == 6
    assert model.config.pad_token_id == 5
