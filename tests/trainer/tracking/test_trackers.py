"""The trackers of `train.log_to`, without network: what each one has after a training that was resumed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from latexify.common.errors import LatexifyError
from latexify.trainer.loop.checkpoint import CheckpointFolder
from latexify.trainer.loop.loop import Trainer
from tests.support.trainer_data import history, train

torch.set_num_threads(1)

ROWS = [2, 4, 6, 8, 10, 12]
VALIDATIONS = [6, 12]


@pytest.fixture
def resumed(training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Train with a tracker, be killed after step 8, and train to the end; returns the run's folder."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def call(tracker: str) -> Path:
        original = Trainer._train_batch

        def until_killed(self: Trainer, *arguments: Any) -> Any:
            if self.state.step == 8:
                raise LatexifyError("killed")
            return original(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_train_batch", until_killed)
            with pytest.raises(LatexifyError, match="killed"):
                train(training_data, tmp_path, log_to=[tracker])
        folder = next(path for path in (tmp_path / "runs").iterdir() if path.name != "mlruns")
        assert CheckpointFolder(folder, keep=1).latest_step == 6, "steps 7 and 8 are made again"
        train(training_data, tmp_path, log_to=[tracker])
        assert [int(row["step"]) for row in history(tmp_path)] == ROWS
        return folder

    return call


def test_tensorboard_has_every_point_once(resumed: Callable[[str], Path]) -> None:
    """Points twice, as after a naive resume, draw a curve that runs backwards."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = resumed("tensorboard")
    events = accumulator.EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train_loss")] == ROWS
    assert [event.step for event in events.Scalars("valid_cer")] == VALIDATIONS
    assert [event.step for event in events.Images("example 0")] == VALIDATIONS
    texts = events.Tensors("readings/text_summary")
    assert b"read as" in texts[0].tensor_proto.string_val[0]


def test_mlflow_has_every_point_once(resumed: Callable[[str], Path]) -> None:
    """In a folder, without a server; one run of MLflow's for the whole run."""
    mlflow = pytest.importorskip("mlflow")
    folder = resumed("mlflow")
    client = mlflow.MlflowClient(tracking_uri=(folder.parent / "mlruns").as_uri())
    [experiment] = [found for found in client.search_experiments() if found.name == "latexify"]
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == folder.name
    assert run.data.params["train.max_steps"] == "12"
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "train_loss")] == ROWS
    assert [metric.step for metric in client.get_metric_history(run.info.run_id, "valid_cer")] == VALIDATIONS
    texts = [item.path for item in client.list_artifacts(run.info.run_id, "readings")]
    assert texts == [f"readings/step-{step:08d}.txt" for step in VALIDATIONS]
    assert client.list_artifacts(run.info.run_id, "images")


@pytest.mark.timeout(600)
def test_wandb_stays_offline_without_a_key(resumed: Callable[[str], Path]) -> None:
    """Each session leaves a folder for `wandb sync`, under one id; together they have each row once."""
    pytest.importorskip("wandb")
    folder = resumed("wandb")
    sessions = sorted((folder / "wandb").glob("offline-run-*"))
    assert [path.name.rpartition("-")[2] for path in sessions] == [folder.name, folder.name]
    pictures = sorted(path.name for path in folder.glob("wandb/offline-run-*/files/media/images/*.png"))
    assert {name.split("_")[1] for name in pictures} == {str(step) for step in VALIDATIONS}
    assert json.loads((folder / "tracking-wandb.json").read_text(encoding="utf-8")) == {"row": 12, "examples": 12}


def test_dvclive_has_every_point_once(resumed: Callable[[str], Path]) -> None:
    """Its tables are what `dvc plots` and the extension for VS Code draw."""
    pytest.importorskip("dvclive")
    folder = resumed("dvclive")
    table = (folder / "dvclive" / "plots" / "metrics" / "train_loss.tsv").read_text(encoding="utf-8").splitlines()
    assert [int(line.split("\t")[0]) for line in table[1:]] == ROWS
    assert json.loads((folder / "dvclive" / "metrics.json").read_text(encoding="utf-8"))["step"] == 12
    assert len(list((folder / "dvclive" / "plots" / "images").glob("step-00000012-*.png"))) > 0
    assert (folder / "dvclive" / "readings" / "step-00000006.txt").is_file()
