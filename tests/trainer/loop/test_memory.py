"""The micro-batch that fits into memory, and the error when one does not."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from latexify.trainer.config import ModelParams
from latexify.trainer.data.batches import MicroBatch
from latexify.trainer.data.inputs import load_network, open_inputs
from latexify.trainer.data.specs import Position, micro_batch_specs
from latexify.trainer.loop import memory
from latexify.trainer.loop.loss import token_loss
from latexify.trainer.loop.memory import (
    activation_bytes,
    explain_full_memory,
    fitting_batch,
    logits_bytes,
    resident_bytes,
    resolve_micro_batch,
)
from latexify.trainer.loop.optim import prepare, set_training
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.step import Stepper
from tests.support.trainer_data import (
    quick_params,
    train,
)

torch.set_num_threads(1)


CPU = Precision(name="fp32", device=torch.device("cpu"))


def test_the_largest_batch_that_fits_is_found() -> None:
    """One too many is an out-of-memory error after an hour; half as many is half the speed."""
    assert fitting_batch(lambda count: 1000 + 300 * count, budget=4000, largest=64) == 10
    assert fitting_batch(lambda count: 1000 + 300 * count, budget=40_000, largest=64) == 64
    with pytest.raises(LatexifyError, match=r"a single sample needs .*: turn on train.gradient_checkpointing"):
        fitting_batch(lambda count: 1000 + 300 * count, budget=1200, largest=64)


def test_measured_memory_grows_with_the_batch_and_is_about_right(training_data: Path) -> None:
    """The search trusts two measurements: they must tell samples apart, and not miss the logits."""
    inputs = open_inputs(training_data / "shards", training_data / "tokenizer", weights=None)
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
    found: list[int] = []
    original = memory.fitting_batch

    def fitting(*arguments: Any, **options: Any) -> int:
        found.append(original(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(memory, "fitting_batch", fitting)
    train(training_data, tmp_path / "auto", micro_batch="auto", dropout=0.0)
    train(training_data, tmp_path / "fixed", micro_batch=8, dropout=0.0)
    assert 1 <= found[0] <= 8
    run_names = [{path.name for path in (tmp_path / name / "runs").iterdir()} for name in ("auto", "fixed")]
    assert run_names[0] == run_names[1]
    inputs = open_inputs(training_data / "shards", training_data / "tokenizer", weights=None)
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


def peak_bytes(run: Callable[[], object]) -> int:
    """The most that torch has allocated at a time beyond what was there before, as its profiler counts it."""
    cpu = torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[cpu], profile_memory=True) as profile:
        kept = run()
    del kept
    results = profile.profiler
    assert results is not None
    events = [event for event in results.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return max(itertools.accumulate(int(event.nbytes()) for event in events))


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("freeze", [[], ["encoder"]])
def test_what_is_counted_is_what_a_step_takes(
    training_data: Path, ema_decay: float, precision: str, freeze: list[str]
) -> None:
    """Gradients, moments, EMA, copies in half precision and logits: what is left out is an error after an hour."""
    inputs = open_inputs(training_data / "shards", training_data / "tokenizer", weights=None)
    params = quick_params(ema_decay=ema_decay, freeze=freeze, micro_batch=8)
    model = load_network(params, ModelParams(base=str(training_data / "base")), seed=1, inputs=inputs).model
    chosen = Precision(name=precision, device=torch.device("cpu"))
    pixels, labels = torch.full((8, 16, 64), 255, dtype=torch.uint8), torch.full((8, 30), 4)
    micro = MicroBatch(
        pixels=pixels,
        labels=labels,
        spec=next(micro_batch_specs(inputs.train_index, params, seed=1, start=Position())),
    )
    prepare(model, params)
    set_training(model, params)
    with chosen.autocast():
        kept = activation_bytes(lambda: token_loss(model, pixels, labels), resident=[*model.parameters()])
    counted = kept + resident_bytes(model, params, world_size=1)
    counted += logits_bytes(model, num_tokens=labels.numel(), precision=chosen)

    def train_twice() -> Stepper:
        stepper = Stepper(model, params, precision=chosen, seed=1)
        for _ in range(2):  # the second begins with the optimizer's moments
            stepper.step([micro], learning_rate=1e-4)
        return stepper

    assert 0.9 < counted / peak_bytes(train_twice) < 1.3


def test_buckets_of_ranks_are_counted(training_data: Path, tmp_path: Path) -> None:
    """With two micro-batches a rank has gradients and the buckets that they are sent in."""
    inputs = open_inputs(training_data / "shards", training_data / "tokenizer", weights=None)
    model = load_network(
        quick_params(), ModelParams(base=str(training_data / "base")), seed=1, inputs=inputs
    ).model.decoder
    trained = sum(value.nbytes for value in model.parameters())
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:

        def two_micro_batches() -> nn.Module:
            shared = nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
            ids = torch.full((1, 4), 4)
            with shared.no_sync():
                shared(input_ids=ids, use_cache=False).logits.sum().backward()
            shared(input_ids=ids, use_cache=False).logits.sum().backward()
            return shared

        peak = peak_bytes(two_micro_batches)
    finally:
        dist.destroy_process_group()
    one, two = (resident_bytes(model, quick_params(), world_size=number) for number in (1, 2))
    assert two - one == trained
    assert 1.9 * trained < peak < 3.5 * trained, "and what passes through for a moment"


def no_memory_on_a_cpu() -> None:
    """Torch's own error."""
    torch.empty(1 << 50)


def no_memory_on_a_gpu() -> None:
    """As torch raises it."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("fail", [no_memory_on_a_cpu, no_memory_on_a_gpu])
def test_a_batch_that_does_not_fit_is_one_line(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path, fail: Callable[[], None]
) -> None:
    """The longest labels may come after hours: say what to make smaller, and keep what was trained."""
    backward = Stepper._backward

    def full(self: Stepper, micro: MicroBatch) -> torch.Tensor:
        if micro.spec.position.epoch == 1:
            fail()
        return backward(self, micro)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "_backward", full)
        with pytest.raises(
            LatexifyError, match=r"a micro-batch of 5 does not fit into the memory of cpu: set"
        ) as caught:
            train(training_data, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.glob("runs/*/step-00000003.pt"))
    assert train(training_data, tmp_path) == finished_run[1]


def test_other_errors_of_torch_are_not_taken_for_it() -> None:
    """A defect of ours must show as one, with its traceback."""
    with pytest.raises(RuntimeError, match="shape"), explain_full_memory(quick_params(), device=torch.device("cpu")):
        torch.ones(2).view(3)
