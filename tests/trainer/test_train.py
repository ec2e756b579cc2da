"""The train stage as a user runs it: what it leaves, what it says, and what it exports."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL, SHARDS
from latexify.common.errors import LatexifyError
from latexify.shards.reading.plan import plan_epoch
from latexify.trainer.data.batches import MicroBatch
from latexify.trainer.data.specs import Position
from latexify.trainer.loop.history import COLUMNS
from latexify.trainer.loop.loop import Trainer
from latexify.trainer.loop.step import Stepper, StepResult
from latexify.trainer.loop.validation import Validation, Validator
from latexify.trainer.model.model import LoadedModel, load_model
from tests.support.repository import REPOSITORY
from tests.support.small_project import make_project
from tests.support.trainer_data import (
    history,
    train,
)

torch.set_num_threads(1)


def test_a_run_leaves_what_the_next_stages_and_people_need(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]]
) -> None:
    """The judge needs the model, DVC the metrics, people the curve."""
    place, summary = finished_run
    assert json.loads((place / "metrics/train.json").read_text()) == summary
    assert summary["steps"] == 12
    assert summary["samples_seen"] == 12 * 8
    assert summary["best_step"] in {6, 12}
    assert 0 < summary["valid_cer"] < 2  # twelve steps teach little
    rows = history(place)
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8, 10, 12]
    assert [row["valid_cer"] != "" for row in rows] == [False, False, True, False, False, True]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    assert [int(row["epoch"]) for row in rows] == [0, 0, 1, 1, 2, 2]
    assert (place / "model/history.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    manifest = read_manifest(place / "model", MODEL)
    assert manifest.inputs["shards"] == read_manifest(training_data / "shards", SHARDS).fingerprint
    assert [path.name for path in (place / "runs").iterdir()] == [manifest.fingerprint]


def test_a_finished_run_is_only_exported_again(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dvc repro` deletes the model folder first; it must not cost the training a second time."""
    place, summary = finished_run
    monkeypatch.setattr(Trainer, "_train_batch", None)
    assert train(training_data, tmp_path, runs=place / "runs") == summary
    assert (tmp_path / "model/history.csv").read_bytes() == (place / "model/history.csv").read_bytes()


def test_the_best_model_is_exported_not_the_last(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that got worse at its end must not lose its best model."""
    scores = iter([Validation(loss=1.0, cer=0.2, examples=[]), Validation(loss=0.5, cer=0.3, examples=[])])
    seen = []

    def validate(_self: Validator, loaded: LoadedModel) -> Validation:
        seen.append({name: value.clone() for name, value in loaded.model.state_dict().items()})
        return next(scores)

    monkeypatch.setattr(Validator, "validate", validate)
    assert train(training_data, tmp_path)["best_step"] == 6
    exported = load_model(tmp_path / "model").model.state_dict()
    name = "decoder.model.decoder.embed_tokens.weight"
    assert torch.equal(exported[name], seen[0][name])
    assert not torch.equal(exported[name], seen[1][name])


def test_a_skipped_step_is_not_counted(training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overflows of fp16 must not shorten the training or move the schedule, and the next batch must be another one."""
    step = Stepper.step
    rates: list[float] = []
    positions: list[Position] = []

    def overflowing(
        self: Stepper, micro_batches: Sequence[MicroBatch], *, learning_rate: float, following: Callable[[], object]
    ) -> StepResult:
        result = step(self, micro_batches, learning_rate=learning_rate, following=following)
        rates.append(learning_rate)
        positions.append(micro_batches[0].spec.position)
        return replace(result, applied=len(rates) not in {2, 3}, grad_norm=1.0)

    monkeypatch.setattr(Stepper, "step", overflowing)
    summary = train(training_data, tmp_path)
    assert summary["steps"] == 12
    assert summary["samples_seen"] == 14 * 8
    assert rates[1] == rates[2] == rates[3] != rates[0]
    assert len(set(positions)) == 14
    assert [int(row["step"]) for row in history(tmp_path)] == [2, 4, 6, 8, 10, 12]


def test_precision_and_padding_are_said_before_training(
    training_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever trains should know what `auto` chose, and how much goes into padding, while it can still be changed."""
    summary = train(training_data, tmp_path, max_steps=1, warmup_steps=0)
    said = f"train: fp32 on cpu; {summary['padding_waste']:.1%} of the label slots are padding"
    assert said in capsys.readouterr().err
    assert 0 < summary["padding_waste"] < 0.5


@pytest.mark.parametrize("batch_norm", [True, False])
def test_batches_are_mixed_for_batch_norm_only(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, batch_norm: bool
) -> None:
    """The one place where the model decides on the order of the data."""
    asked: list[bool] = []

    def plan(*arguments: Any, by_length: bool, **options: Any) -> Any:
        asked.append(by_length)
        return plan_epoch(*arguments, by_length=by_length, **options)

    monkeypatch.setattr("latexify.trainer.loop.optim.has_batch_norm", lambda _model: batch_norm)
    monkeypatch.setattr("latexify.trainer.data.specs.plan_epoch", plan)
    train(training_data, tmp_path, max_steps=2, warmup_steps=0, loader_workers=0)
    assert asked
    assert set(asked) == {not batch_norm}


def test_a_run_folder_that_cannot_be_written_is_one_line(training_data: Path, tmp_path: Path) -> None:
    """Found out at once, and not when the first checkpoint is due."""
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(LatexifyError, match=r"runs/\w+ cannot be written \(.*\): checkpoints go there; fix"):
        train(training_data, tmp_path)


@pytest.mark.slow
def test_of_two_trainings_at_once_the_second_is_refused_in_one_line(tmp_path: Path) -> None:
    """Each deleted checkpoints of the other, and one of them ended with a traceback."""
    make_project(tmp_path)
    with (tmp_path / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("train: {max_steps: 100000, checkpoint_steps: 1, num_threads: 1, loader_workers: 0}\n")
    command = [sys.executable, "-m", "latexify", "train", "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as first:
        deadline_s = time.monotonic() + 120
        while not list(tmp_path.glob("runs/*/step-*.pt")):
            assert time.monotonic() < deadline_s
            assert first.poll() is None
            time.sleep(0.1)
        second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert first.poll() is None, "the first must still be training"
        assert second.returncode == 1
        [run] = [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()]
        assert second.stderr == f"latexify: another run is writing runs/{run}: wait until it is done, or stop it\n"
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=120)
    assert not list((tmp_path / "runs").glob("*.lock"))
