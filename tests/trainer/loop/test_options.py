"""What a run can be asked for besides its length: averages, early ends, memory saved, a compiled step."""

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import VisionEncoderDecoderModel

from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from latexify.trainer.config import ModelParams
from latexify.trainer.data.inputs import load_network, open_inputs
from latexify.trainer.loop import memory
from latexify.trainer.loop.ema import Averaging
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.memory import activation_bytes, fitting_batch, resolve_micro_batch
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.step import Stepper
from latexify.trainer.loop.validation import Validation, Validator
from latexify.trainer.model.presets import build
from tests.support.trainer_data import history, quick_params, train

torch.set_num_threads(1)
CPU = Precision(name="fp32", device=torch.device("cpu"))


def test_an_average_follows_the_weights_with_its_decay() -> None:
    """A decay that is applied once too often, or to half the weights, makes a model that nobody trained."""
    model = build("tiny", vocab_size=20, height_px=32, width_px=64)
    averaging = Averaging(model, decay=0.5)
    name = "decoder.model.decoder.embed_tokens.weight"
    expected = None
    for step in range(6):
        with torch.no_grad():
            model.state_dict()[name].fill_(float(step))
        averaging.update()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = float(step) if expected is None else decay * expected + (1 - decay) * step
    averaged = averaging.model.state_dict()[name]
    torch.testing.assert_close(averaged, torch.full_like(averaged, expected))
    assert model.state_dict()[name].unique().tolist() == [5.0]


def test_the_average_is_exported_and_resumed(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights that were validated must be those that are exported, also after an interruption."""
    train(training_data, tmp_path / "whole", ema_decay=0.9)
    plain = train(training_data, tmp_path / "plain")
    seen: list[int] = []
    original = Validator.validate

    def stop_at_first(self: Validator, loaded: object) -> Validation:
        seen.append(1)
        if len(seen) == 2:
            raise LatexifyError("interrupted")
        return original(self, loaded)

    with monkeypatch.context() as patch:
        patch.setattr(Validator, "validate", stop_at_first)
        with pytest.raises(LatexifyError, match="interrupted"):
            train(training_data, tmp_path / "resumed", ema_decay=0.9)
    train(training_data, tmp_path / "resumed", ema_decay=0.9)
    weights = {name: load_file(tmp_path / name / "model/model.safetensors") for name in ("whole", "resumed", "plain")}
    assert all(torch.equal(value, weights["resumed"][name]) for name, value in weights["whole"].items())
    assert any(not torch.equal(value, weights["plain"][name]) for name, value in weights["whole"].items())
    assert plain["steps"] == 12


def test_patience_ends_a_run_that_no_longer_improves(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hours of a rented GPU after the best model are wasted; but the best is what must be exported."""
    cers = iter([0.5, 0.3, 0.4, 0.35])
    monkeypatch.setattr(Validator, "validate", lambda *_: Validation(loss=1.0, cer=next(cers), examples=[]))
    summary = train(training_data, tmp_path, max_steps=100, validate_steps=2, early_stopping_patience=2)
    assert (summary["steps"], summary["best_step"]) == (8, 4)
    monkeypatch.setattr(Validator, "validate", None)  # the same command again trains no further
    assert train(training_data, tmp_path, max_steps=100, validate_steps=2, early_stopping_patience=2)["steps"] == 8


def test_a_time_limit_ends_a_run_with_a_model(training_data: Path, tmp_path: Path) -> None:
    """Whoever has an hour wants a model after it, not a checkpoint."""
    summary = train(training_data, tmp_path, max_steps=100_000, max_hours=2 / 3600, validate_steps=100_000)
    assert 0 < summary["steps"] < 100_000
    assert int(history(tmp_path)[-1]["step"]) == summary["steps"] == summary["best_step"]


def test_gradient_checkpointing_keeps_the_gradient_and_saves_memory(training_data: Path) -> None:
    """It is asked for to fit a T4; it must fit more, and train the same model."""
    found = {}
    for checkpointing in (False, True):
        inputs = open_inputs(training_data / "shards", training_data / "tokenizer")
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
        token_loss(network.model, pixels, labels).backward()
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


def test_the_largest_batch_that_fits_is_found() -> None:
    """One too many is an out-of-memory error after an hour; half as many is half the speed."""
    assert fitting_batch(lambda count: 1000 + 300 * count, budget=4000, largest=64) == 10
    assert fitting_batch(lambda count: 1000 + 300 * count, budget=40_000, largest=64) == 64
    with pytest.raises(LatexifyError, match=r"a single sample needs .*: turn on train.gradient_checkpointing"):
        fitting_batch(lambda count: 1000 + 300 * count, budget=1200, largest=64)


def test_measured_memory_grows_with_the_batch_and_is_about_right(training_data: Path) -> None:
    """The search trusts two measurements: they must tell samples apart, and not miss the logits."""
    inputs = open_inputs(training_data / "shards", training_data / "tokenizer")
    base = ModelParams(base=str(training_data / "base"))
    model = load_network(quick_params(), base, seed=1, inputs=inputs).model

    def bytes_of(count: int) -> int:
        pixels, labels = torch.zeros(count, 16, 64, dtype=torch.uint8), torch.full((count, 30), 4)
        return activation_bytes(lambda: token_loss(model.train(), pixels, labels))

    one, two, eight = bytes_of(1), bytes_of(2), bytes_of(8)
    assert eight - one == pytest.approx(7 * (two - one), rel=0.1)
    assert two - one > 30 * 64 * 4  # at the least, what one layer of the decoder gives to the next


def test_auto_micro_batch_changes_neither_the_run_nor_the_batch_norms(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The global batch is the parameter: memory decides how it is cut, not what is learnt."""
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 3_000_000)
    found = []
    original = memory.fitting_batch
    monkeypatch.setattr(memory, "fitting_batch", lambda *a, **k: found.append(original(*a, **k)) or found[-1])
    train(training_data, tmp_path / "auto", micro_batch="auto", dropout=0.0)
    train(training_data, tmp_path / "fixed", micro_batch=8, dropout=0.0)
    assert 1 <= found[0] <= 8
    run_names = [{path.name for path in (tmp_path / name / "runs").iterdir()} for name in ("auto", "fixed")]
    assert run_names[0] == run_names[1]
    inputs = open_inputs(training_data / "shards", training_data / "tokenizer")
    network = load_network(quick_params(), ModelParams(base="scratch"), seed=1, inputs=inputs)
    before = {name: value.clone() for name, value in network.model.named_buffers()}
    monkeypatch.setattr(memory, "free_bytes", lambda _device: 10**10)
    params = resolve_micro_batch(
        quick_params(micro_batch="auto"),
        network,
        index=open_split(training_data / "shards", "train"),
        precision=CPU,
        ranks=Ranks(),
    )
    assert params.micro_batch == params.global_batch == 8
    assert all(torch.equal(value, before[name]) for name, value in network.model.named_buffers())
