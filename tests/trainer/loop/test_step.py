"""One optimizer step: what is summed, divided, ignored and decayed."""

import gc
import math
import warnings
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch._dynamo.testing import CompileCounter
from transformers import VisionEncoderDecoderModel

from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.data.batches import MicroBatch
from latexify.trainer.data.collate import IGNORE_INDEX, collate
from latexify.trainer.data.inputs import load_network, open_inputs
from latexify.trainer.data.specs import Position, micro_batch_specs
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.memory import activation_bytes
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.step import NonFiniteError, Stepper
from tests.support.trainer_data import quick_params, train

torch.set_num_threads(1)


CPU = Precision(name="fp32", device=torch.device("cpu"))


def _global_batch(shards: Path, *, micro_batch: int) -> list[MicroBatch]:
    index = open_split(shards, "train")
    found = []
    for part in micro_batch_specs(index, quick_params(micro_batch=micro_batch), seed=1, start=Position()):
        pixels, labels = collate(SampleReader(index).read(part.rows))
        found.append(MicroBatch(pixels=pixels, labels=labels, spec=part))
        if part.is_last:
            return found
    raise AssertionError


@pytest.mark.parametrize("micro_batch", [1, 3, 5])
def test_micro_batches_give_the_gradient_of_the_whole_batch(
    model: VisionEncoderDecoderModel, shards: Path, monkeypatch: pytest.MonkeyPatch, micro_batch: int
) -> None:
    """Otherwise a smaller graphics card would train another model: long labels of a small micro-batch weigh less."""
    gradients = []
    for size in (8, micro_batch):
        stepper = Stepper(model, quick_params(max_grad_norm=1e9), precision=CPU, seed=1)
        monkeypatch.setattr(stepper.optimizer, "step", lambda *_, **__: None)  # keep the weights
        result = stepper.step(_global_batch(shards, micro_batch=size), learning_rate=0.0)
        gradients.append((result, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    (whole, expected), (parts, found) = gradients
    assert parts.loss_sum == pytest.approx(whole.loss_sum, rel=1e-5)
    assert parts.num_tokens == whole.num_tokens
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_padding_does_not_change_the_loss(model: VisionEncoderDecoderModel, shards: Path) -> None:
    """A loss on padding teaches the model to write padding, the defect of the code this project started from."""
    micro = _global_batch(shards, micro_batch=8)[0]
    padded = torch.nn.functional.pad(micro.labels, (0, 7), value=IGNORE_INDEX)
    model.eval()
    assert token_loss(model, micro.pixels, padded).item() == pytest.approx(
        token_loss(model, micro.pixels, micro.labels).item(), rel=1e-5
    )
    alone = sum(
        token_loss(
            model, micro.pixels[i : i + 1], micro.labels[i : i + 1, : (micro.labels[i] != IGNORE_INDEX).sum()]
        ).item()
        for i in range(len(micro.labels))
    )
    assert alone == pytest.approx(token_loss(model, micro.pixels, micro.labels).item(), rel=1e-4)


def test_the_decoder_sees_the_label_one_step_late(model: VisionEncoderDecoderModel, shards: Path) -> None:
    """Shifting twice, or not at all, trains a model that reads nothing."""
    micro = _global_batch(shards, micro_batch=8)[0]
    model.eval()
    seen = {}
    model.decoder.model.decoder.register_forward_pre_hook(lambda _m, _a, kwargs: seen.update(kwargs), with_kwargs=True)
    token_loss(model, micro.pixels, micro.labels)
    fed = seen["input_ids"]
    assert (fed[:, 0] == 2).all()
    valid = micro.labels[:, :-1] != IGNORE_INDEX
    assert torch.equal(fed[:, 1:][valid], micro.labels[:, :-1][valid])
    assert (fed[:, 1:][~valid] == 1).all()


def test_label_smoothing_is_used(model: VisionEncoderDecoderModel, shards: Path) -> None:
    """A parameter that does nothing misleads whoever tunes it."""
    micro = _global_batch(shards, micro_batch=8)[0]
    model.eval()
    plain = token_loss(model, micro.pixels, micro.labels)
    assert token_loss(model, micro.pixels, micro.labels, label_smoothing=0.5) != plain


def test_a_loss_that_is_not_finite_changes_nothing(model: VisionEncoderDecoderModel, shards: Path) -> None:
    """Otherwise one bad batch turns every weight into NaN, and hours later someone notices."""
    stepper = Stepper(model, quick_params(), precision=CPU, seed=1)
    with torch.no_grad():
        model.encoder.layernorm.weight[0] = math.nan
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(NonFiniteError):
        stepper.step(_global_batch(shards, micro_batch=8), learning_rate=1.0)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], equal_nan=True, rtol=0, atol=0)


def test_an_overflow_in_fp16_skips_the_step(model: VisionEncoderDecoderModel, shards: Path) -> None:
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


def test_gradient_checkpointing_keeps_the_gradient_and_saves_memory(training_data: Path) -> None:
    """It is asked for to fit a T4; it must fit more, and train the same model."""
    found = {}
    for checkpointing in (False, True):
        inputs = open_inputs(training_data / "shards", training_data / "tokenizer", weights=None)
        params = quick_params(gradient_checkpointing=checkpointing, dropout=0.1)
        network = load_network(params, ModelParams(base=str(training_data / "base")), seed=1, inputs=inputs)
        with warnings.catch_warnings(action="error"):
            Stepper(network.model, params, precision=CPU, seed=1)
        network.model.train()
        pixels = torch.randint(0, 256, (4, 16, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
        labels = torch.tensor([[4, 5, 6, 2]] * 4)
        torch.manual_seed(3)
        kept = activation_bytes(lambda: token_loss(network.model, pixels, labels))  # noqa: B023
        torch.manual_seed(3)
        token_loss(network.model, pixels, labels).backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        gradients = {name: p.grad for name, p in network.model.named_parameters() if p.grad is not None}
        found[checkpointing] = (kept, gradients)
    assert found[True][0] < 0.8 * found[False][0]
    for name, gradient in found[False][1].items():
        torch.testing.assert_close(found[True][1][name], gradient)


def test_a_compiled_step_is_the_step(training_data: Path, tmp_path: Path) -> None:
    """Compiling must cost nothing but the wait, and leave a folder that loads without it."""
    train(training_data, tmp_path / "plain", max_steps=4, warmup_steps=0, dropout=0.0)
    train(training_data, tmp_path / "compiled", max_steps=4, warmup_steps=0, dropout=0.0, compile=True)
    plain, compiled = (load_file(tmp_path / name / "model/model.safetensors") for name in ("plain", "compiled"))
    for name, value in plain.items():
        if not name.endswith("k_proj.bias"):  # attention ignores it: its gradient is rounding, which Adam blows up
            torch.testing.assert_close(compiled[name], value, rtol=1e-3, atol=1e-4, msg=name)
    VisionEncoderDecoderModel.from_pretrained(tmp_path / "compiled/model")


def test_a_device_is_waited_for_once_a_step(
    model: VisionEncoderDecoderModel, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a number back makes a GPU wait: not once a micro-batch, and not for the EMA or the augmentation.

    torch's own AdamW reads its counts of steps, which on a GPU lie there.
    """
    params = quick_params(ema_decay=0.9, augment_strength=0.5, backward_fraction=0.5)
    stepper = Stepper(model, params, precision=CPU, seed=1)
    monkeypatch.setattr(stepper.optimizer, "step", lambda *_, **__: None)
    reads = {}
    for size in (8, 1):
        batches = _global_batch(shards, micro_batch=size)
        stepper.step(batches, learning_rate=1e-3)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            stepper.step(batches, learning_rate=1e-3)
        reads[len(batches)] = {e.key: e.count for e in profile.key_averages()}.get("aten::_local_scalar_dense", 0)
    assert reads.keys() == {1, 8}
    assert reads[1] == reads[8] <= 1, "the EMA's own count, which stays on the CPU"


def test_the_next_batch_is_begun_before_the_device_is_waited_for(
    model: VisionEncoderDecoderModel, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that is waited for first has nothing to do while the CPU prepares."""
    stepper = Stepper(model, quick_params(), precision=CPU, seed=1)
    batches = _global_batch(shards, micro_batch=4)
    events: list[str] = []

    def note(owner: object, name: str, event: str) -> None:
        function = getattr(owner, name)

        def noted(*arguments: object) -> Any:
            events.append(event)
            return function(*arguments)

        monkeypatch.setattr(owner, name, noted)

    note(stepper._copies, "take", "take")
    note(stepper._copies, "begin", "begin")
    note(torch.Tensor, "tolist", "wait")
    stepper.step(batches, learning_rate=1e-3, following=lambda: batches[0])
    stepper.step(batches, learning_rate=1e-3, following=lambda: LatexifyError("a shard that cannot be read"))
    assert events == ["take", "begin", "take", "begin", "wait", "take", "begin", "take", "wait"]


def test_looking_ahead_changes_no_bit(training_data: Path, shards: Path) -> None:
    """It is about time alone."""
    found = []
    for ahead in (False, True):
        stepper = _stepper(training_data, quick_params(dropout=0.1, augment_strength=0.5))
        batches = _global_batch(shards, micro_batch=3)
        for _ in range(2):
            following = (lambda: batches[0]) if ahead else None  # noqa: B023
            stepper.step(batches, learning_rate=1e-3, following=following)
        found.append(stepper.model.state_dict())
    for name, value in found[0].items():
        assert torch.equal(found[1][name], value), name


def _stepper(data: Path, params: TrainParams) -> Stepper:
    """A stepper with a model of its own, always the same at first."""
    inputs = open_inputs(data / "shards", data / "tokenizer", weights=None)
    network = load_network(params, ModelParams(base=str(data / "base")), seed=1, inputs=inputs)
    return Stepper(network.model, params, precision=CPU, seed=1)


@pytest.mark.parametrize(
    ("value", "mode"), [(False, "not compiled"), (True, None), ("reduce-overhead", "reduce-overhead")]
)
def test_the_parameter_reaches_the_compiler(
    model: VisionEncoderDecoderModel, monkeypatch: pytest.MonkeyPatch, *, value: bool | str, mode: str | None
) -> None:
    """CUDA graphs are a mode of it; and one compilation must do for all lengths."""
    calls = []

    def noted(function: object, **options: object) -> object:
        calls.append(options)
        return function

    monkeypatch.setattr(torch, "compile", noted)
    Stepper(model, quick_params(compile=value), precision=CPU, seed=1)
    if mode == "not compiled":
        assert not calls
    else:
        loss, augmentation = calls
        assert loss == {"dynamic": True, "mode": mode}
        assert augmentation == {"dynamic": True, "mode": None}


def test_gradients_that_graphs_may_overwrite_are_kept_outside(
    training_data: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph's next run writes over what it returned; adding to tensors of our own must train the same, to the bit."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    found = []
    for how in (True, "reduce-overhead"):
        stepper = _stepper(training_data, quick_params(compile=how, weight_decay=0.1))
        batches = _global_batch(shards, micro_batch=3)
        places = []
        for _ in range(3):
            stepper.step(batches, learning_rate=1e-3)
            places.append([p.grad.data_ptr() for p in stepper.model.parameters() if p.grad is not None])
        found.append(stepper.model.state_dict())
    assert places[0] == places[1] == places[2], "the last one's, with graphs"
    for name, value in found[0].items():
        assert torch.equal(found[1][name], value), name


@pytest.mark.slow
def test_new_lengths_are_not_compiled_again(training_data: Path, shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compilation takes a minute or two; one for each length of labels would take longer than the training."""
    counter, compiler = CompileCounter(), torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **_: compiler(function, backend=counter, dynamic=True))
    stepper = _stepper(training_data, quick_params(compile=True))
    (micro,) = _global_batch(shards, micro_batch=8)
    counts = []
    for length in (6, 20, 30, 17, 25):
        padding = torch.full((8, length - micro.labels.shape[1]), IGNORE_INDEX)
        stepper.step([replace(micro, labels=torch.cat([micro.labels, padding], dim=1))], learning_rate=1e-3)
        counts.append(counter.frame_count)
    assert counts[0] > 0
    assert counts[-1] == counts[1]


def test_a_stepper_that_is_done_with_is_gone(model: VisionEncoderDecoderModel, shards: Path) -> None:
    """Gradients, moments and EMA take gigabytes; a cycle of references would keep them until Python looks for it."""
    stepper = Stepper(model, quick_params(), precision=CPU, seed=1)
    stepper.step(_global_batch(shards, micro_batch=4), learning_rate=1e-3)
    gone = weakref.ref(stepper)
    gc.disable()
    try:
        del stepper
        assert gone() is None
    finally:
        gc.enable()
