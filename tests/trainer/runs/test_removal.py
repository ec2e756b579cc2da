"""Removing checkpoints: no run loses what it needs, and what it can no longer do is said."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from latexify.artifacts.draft import sole_writer
from latexify.common.errors import LatexifyError
from latexify.trainer.loop.loop import Trainer
from latexify.trainer.runs.listing import Run, list_runs
from latexify.trainer.runs.removal import choose_runs, plan_removal, remove
from tests.support.trainer_data import train

torch.set_num_threads(1)


@pytest.fixture
def finished(finished_run: tuple[Path, dict[str, Any]], tmp_path: Path) -> Run:
    """A copy of a finished run."""
    shutil.copytree(finished_run[0] / "runs", tmp_path / "runs")
    return list_runs(tmp_path / "runs")[0][0]


@pytest.fixture
def stopped(training_data: Path, tmp_path: Path) -> Run:
    """A run that stopped after step 9, with checkpoints of steps 6 and 9, and an older best model."""
    original = Trainer._after_step

    def stop(self: Trainer, *rest: object, **named: object) -> None:
        original(self, *rest, **named)  # type: ignore[arg-type]
        if self.state.step == 9:
            raise LatexifyError("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_after_step", stop)
        with pytest.raises(LatexifyError, match="stopped"):
            train(training_data, tmp_path, keep_checkpoints=3)
    return list_runs(tmp_path / "runs")[0][0]


def test_a_finished_run_keeps_its_best_and_is_exported_again(
    training_data: Path,
    finished_run: tuple[Path, dict[str, Any]],
    finished: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run without a checkpoint would be trained again by the next `dvc repro`."""
    plan = plan_removal(finished, whole=False)
    assert [path.name for path in plan.files] == ["step-00000012.pt"]
    assert plan.num_bytes == finished.checkpoint_bytes
    remove(plan)
    assert list_runs(tmp_path / "runs")[0][0].state == "finished"
    monkeypatch.setattr(Trainer, "_train_batch", None)
    assert train(training_data, tmp_path) == finished_run[1]
    for name in ("model.safetensors", "history.csv", "manifest.json"):
        assert (tmp_path / "model" / name).read_bytes() == (finished_run[0] / "model" / name).read_bytes()


def test_a_run_without_checkpoints_is_not_continued_in_silence(
    training_data: Path, finished: Run, tmp_path: Path
) -> None:
    """`train.resume_from` needs weights, optimizer and position: it must not begin anew under that name."""
    remove(plan_removal(finished, whole=False))
    changes = {"max_steps": 14, "resume_from": str(finished.folder), "resume_changes": ["max_steps"]}
    with pytest.raises(LatexifyError, match=r"holds no checkpoint \(`latexify runs remove` .*start from its model"):
        train(training_data, tmp_path, **changes)


def test_a_finished_run_can_be_continued_until_its_checkpoint_is_removed(
    training_data: Path, finished: Run, tmp_path: Path
) -> None:
    """Pruning at the end of a training leaves the last checkpoint for that."""
    changes = {"max_steps": 14, "resume_from": str(finished.folder), "resume_changes": ["max_steps"]}
    assert train(training_data, tmp_path, **changes)["steps"] == 14


def test_an_unfinished_run_keeps_its_latest_whole_checkpoint(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], stopped: Run, tmp_path: Path
) -> None:
    """The latest is damaged here, so the one before is the run."""
    latest = stopped.folder / "step-00000009.pt"
    latest.write_bytes(latest.read_bytes()[:-100])
    plan = plan_removal(stopped, whole=False)
    assert [path.name for path in plan.files] == ["step-00000003.pt", "step-00000009.pt"]
    assert "goes on from step 6" in plan.consequence
    remove(plan)
    assert train(training_data, tmp_path) == finished_run[1]


def test_an_unfinished_run_is_never_removed_whole(stopped: Run) -> None:
    """A slip of the hand must not cost days."""
    with pytest.raises(LatexifyError, match=r"is not finished \(step 9 of 12\)"):
        plan_removal(stopped, whole=True)
    for path in stopped.folder.glob("step-*.pt"):
        path.write_bytes(b"")
    with pytest.raises(LatexifyError, match="holds no whole checkpoint: nothing of it is removed"):
        plan_removal(stopped, whole=False)


def test_a_finished_run_without_its_best_keeps_its_checkpoint(finished: Run) -> None:
    """It is then the only copy of the weights."""
    for path in finished.folder.glob("best-*.pt"):
        path.unlink()
    with pytest.raises(LatexifyError, match="the best model of a finished run, is missing or damaged"):
        plan_removal(finished, whole=False)


def test_a_whole_run_is_removed_with_its_folder(finished: Run, tmp_path: Path) -> None:
    """All bytes of it are said."""
    plan = plan_removal(finished, whole=True)
    assert plan.num_bytes == finished.num_bytes
    remove(plan)
    assert list_runs(tmp_path / "runs") == ([], [])
    assert not finished.folder.exists()


def test_a_run_that_trains_or_has_changed_is_left_alone(finished: Run) -> None:
    """Between the list and the removal a training may have begun."""
    plan = plan_removal(finished, whole=False)
    with sole_writer(finished.folder), pytest.raises(LatexifyError, match="another run is writing"):
        remove(plan)
    shutil.copy(finished.folder / "step-00000012.pt", finished.folder / "step-00000013.pt")
    with pytest.raises(LatexifyError, match="has changed in the meantime"):
        remove(plan)
    assert (finished.folder / "step-00000012.pt").exists()


def test_runs_are_chosen_by_the_beginning_of_their_names(finished: Run, tmp_path: Path) -> None:
    """Nobody types sixteen hex digits; of two that match, none is taken."""
    runs, name = tmp_path / "runs", finished.folder.name
    assert choose_runs(runs, [name[:4], f"runs/{name}/"], finished=True) == [finished]
    shutil.copytree(finished.folder, finished.folder.with_name(f"{name}0"))
    assert [run.folder for run in choose_runs(runs, [name], finished=False)] == [finished.folder]
    for wrong in (name[:4], "nothing", ""):
        with pytest.raises(LatexifyError, match=r"is the beginning of 2 runs|no run in .* has a name that begins with"):
            choose_runs(runs, [wrong], finished=False)


def test_what_finished_json_holds_is_the_state(finished: Run, training_data: Path, tmp_path: Path) -> None:
    """A damaged one is named, and does not start the training anew."""
    path = finished.folder / "finished.json"
    state = json.loads(path.read_text())["state"]
    assert state["finished"]
    assert len(state["rows"]) == 6
    path.write_text(path.read_text()[:-40])
    with pytest.raises(LatexifyError, match=r"finished\.json is damaged .*: remove it to go on from the latest"):
        train(training_data, tmp_path)
