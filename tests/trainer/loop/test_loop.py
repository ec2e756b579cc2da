"""Runs that are interrupted, or end early: they end as if nothing had happened, and say how to continue."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError
from latexify.trainer.loop import checkpoint, loop
from latexify.trainer.loop.loop import Trainer
from latexify.trainer.loop.reporting import Reporter
from latexify.trainer.loop.step import Stepper, StepResult
from latexify.trainer.loop.validation import Validation, Validator
from latexify.trainer.model import export
from tests.support.repository import REPOSITORY
from tests.support.trainer_data import (
    history,
    train,
)

torch.set_num_threads(1)


class InterruptedRunError(Exception):
    """Stands for a crash."""


@pytest.mark.parametrize("stop_after", [5, 8])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    training_data: Path,
    finished_run: tuple[Path, dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int,
) -> None:
    """A preempted machine must cost time only: the same weights to the bit, the same curve, no row twice or missing.

    The interruption is a crash, without a checkpoint of its own, in the middle of an epoch and of a row.
    """
    place, summary = finished_run
    train_batch = Trainer._train_batch

    def crash(self: Trainer, *arguments: Any) -> Any:
        if self.state.step == stop_after:
            raise InterruptedRunError
        return train_batch(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_batch", crash)
        with pytest.raises(InterruptedRunError):
            train(training_data, tmp_path)
    # what does not shape the result may change on the way
    assert train(training_data, tmp_path, loader_workers=1, checkpoint_minutes=1e-9) == summary
    assert_same_run(place, tmp_path)


def assert_same_run(one: Path, other: Path) -> None:
    """One run each; the same curve, the same exported weights, the same last checkpoint."""
    assert len(list((other / "runs").iterdir())) == 1
    assert history(other) == history(one)
    expected = load_file(one / "model/model.safetensors")
    for name, value in load_file(other / "model/model.safetensors").items():
        assert torch.equal(value, expected[name]), name
    last = "step-00000012.pt"
    for key in ("model", "optimizer"):
        _assert_equal(*(torch.load(next(p.glob(f"runs/*/{last}")), weights_only=True)[key] for p in (one, other)))


def _assert_equal(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_equal(one[key], other[key])
    elif isinstance(one, list):
        for left, right in zip(one, other, strict=True):
            _assert_equal(left, right)
    else:
        assert one == other


def test_only_the_latest_checkpoints_and_reachable_bests_are_kept(finished_run: tuple[Path, dict[str, Any]]) -> None:
    """Checkpoints of a real model are gigabytes: a full disk ends the run."""
    place, summary = finished_run
    names = {path.name for path in place.glob("runs/*/*.pt")}
    assert {name for name in names if name.startswith("step")} == {"step-00000012.pt"}, (
        "a finished run needs no older one"
    )
    assert f"best-{summary['best_step']:08d}.pt" in names
    assert not list(place.glob("runs/*/.*"))


def test_another_parameter_is_another_run(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resuming a run with other settings mixes two experiments into one curve."""
    shutil.copytree(finished_run[0] / "runs", tmp_path / "runs")
    monkeypatch.setattr(Trainer, "train", lambda self, **_: (_ for _ in ()).throw(InterruptedRunError(self.state.step)))
    for changes in ({"learning_rate": 0.5}, {"precision": "bf16"}):
        with pytest.raises(InterruptedRunError, match=r"^0$"):
            train(training_data, tmp_path, **changes)


def test_sigterm_writes_a_checkpoint_and_says_so(training_data: Path, tmp_path: Path) -> None:
    """Preemption: what was learnt since the last checkpoint is kept, and the user is told how to go on.

    Schedulers signal the whole process group, the loader processes included.
    """
    code = (
        "import sys; from pathlib import Path; from latexify.common.errors import LatexifyError\n"
        "from tests.support.trainer_data import train\n"
        "try: train(Path(sys.argv[1]), Path(sys.argv[2]), max_steps=100000, checkpoint_steps=99999, loader_workers=1)\n"
        "except LatexifyError as error: print(error); sys.exit(1)\n"
    )
    command = [sys.executable, "-c", code, str(training_data), str(tmp_path)]
    process = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("runs/*/history.csv")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert "stopped by SIGTERM after step" in output
    assert "run the same command to continue" in output
    step = int(output.split("after step ")[1].split()[0])
    assert list(tmp_path.glob(f"runs/*/step-{step:08d}.pt"))


PHASES: dict[str, tuple[Any, str]] = {
    "waiting for data": (loop, "next_batch"),
    "inside a step": (Stepper, "_backward"),
    "validating": (Validator, "_score"),
    "writing a checkpoint": (checkpoint, "_save"),
    "writing the history": (Reporter, "write_rows"),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_signal_in_any_phase_loses_nothing(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path, phase: str
) -> None:
    """Notice is given at no convenient moment: what was begun is finished, saved, and gone on from, to the bit."""
    owner, name = PHASES[phase]
    original: Callable[..., Any] = getattr(owner, name)
    calls: list[int] = []

    def signalled(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, signalled)
        with pytest.raises(LatexifyError, match=r"stopped by SIGTERM after step \d+ of 12; .* run the same command"):
            train(training_data, tmp_path)
    assert len(calls) >= 2
    assert train(training_data, tmp_path) == finished_run[1]
    assert_same_run(finished_run[0], tmp_path)


def test_a_broken_export_is_made_again(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a model folder must not be taken for a model, and the training behind it not be paid for twice."""

    def crash(*_: object) -> None:
        raise InterruptedRunError

    with monkeypatch.context() as patch:
        patch.setattr(export, "write_history", crash)
        with pytest.raises(InterruptedRunError):
            train(training_data, tmp_path)
    assert (tmp_path / "model/model.safetensors").exists()
    with pytest.raises(LatexifyError, match="missing or incomplete"):
        read_manifest(tmp_path / "model", MODEL)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_batch", None)
        assert train(training_data, tmp_path) == finished_run[1]
    assert_same_run(finished_run[0], tmp_path)


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


def test_endless_overflows_in_fp16_end_the_run(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Skipping batches for ever looks like training; a loss scale of 1e-4 says that something is wrong with them."""
    step = Stepper.step

    def overflowing(self: Stepper, *rest: Any, **named: Any) -> StepResult:
        return replace(step(self, *rest, **named), applied=False)

    monkeypatch.setattr(Stepper, "step", overflowing)
    with pytest.raises(LatexifyError, match=r"31 steps in a row overflowed in fp16; the keys of its batch are in"):
        train(training_data, tmp_path)
    assert list(tmp_path.glob("runs/*/failed-step-00000000.json"))
