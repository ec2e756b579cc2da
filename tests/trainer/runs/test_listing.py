"""The list of trainings: what people decide by, before they remove anything."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from latexify.artifacts.draft import sole_writer
from latexify.common.errors import LatexifyError
from latexify.trainer.runs.listing import format_runs, list_runs
from tests.support.trainer_data import train


def test_a_finished_run_is_listed_with_its_best(finished_run: tuple[Path, dict[str, Any]]) -> None:
    """It is what the summary of the training says, and the sizes are those of the files."""
    place, summary = finished_run
    [run], problems = list_runs(place / "runs")
    assert not problems
    assert (run.state, run.step, run.max_steps) == ("finished", 12, 12)
    assert (run.best_step, run.best_cer) == (summary["best_step"], summary["valid_cer"])
    folder = run.folder
    assert run.checkpoint_bytes == (folder / "step-00000012.pt").stat().st_size
    assert run.best_bytes == (folder / f"best-{run.best_step:08d}.pt").stat().st_size
    assert run.num_bytes == sum(path.stat().st_size for path in folder.iterdir())
    table = format_runs([run], exported=folder.name).splitlines()
    assert table[1].startswith(f"{folder.name}  finished  12 of 12")
    assert table[1].endswith("data/model")
    assert table[2] == f"1 runs, {run.num_bytes / 2**20:,.1f} MiB"


def test_a_run_that_stopped_or_goes_on_is_not_finished(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint is all that is left of hours of work."""
    monkeypatch.setattr("latexify.trainer.loop.validation.Validator.validate", stop)
    with pytest.raises(LatexifyError, match="stopped"):
        train(training_data, tmp_path)
    [run], _ = list_runs(tmp_path / "runs")
    assert (run.state, run.step, run.best_cer) == ("stopped", 3, None)
    with sole_writer(run.folder):
        assert list_runs(tmp_path / "runs")[0][0].state == "training"


def test_a_run_of_before_is_finished_by_its_steps(finished_run: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """Earlier versions wrote no `finished.json`."""
    shutil.copytree(finished_run[0] / "runs", tmp_path / "runs")
    [path] = tmp_path.glob("runs/*/finished.json")
    path.unlink()
    assert list_runs(tmp_path / "runs")[0][0].state == "finished"


def test_a_damaged_folder_is_a_line_and_hides_no_other(
    finished_run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """The list is needed most where something went wrong. Folders of trackers are no runs."""
    shutil.copytree(finished_run[0] / "runs", tmp_path / "runs")
    [whole] = (tmp_path / "runs").iterdir()
    for name in ("manifest.json", "finished.json", "history.jsonl"):
        shutil.copytree(whole, tmp_path / "runs" / name.partition(".")[0])
        (tmp_path / "runs" / name.partition(".")[0] / name).write_text(json.dumps({"half": 1})[:-1])
    (tmp_path / "runs/mlruns").mkdir()
    runs, problems = list_runs(tmp_path / "runs")
    assert [run.folder for run in runs] == [whole]
    names = ("finished.json", "history.jsonl", "manifest.json")
    assert all(name in text for name, text in zip(names, problems, strict=True))


def test_no_runs_are_an_empty_list(tmp_path: Path) -> None:
    """Asked before the first training."""
    assert list_runs(tmp_path / "runs") == ([], [])


def stop(*_: object) -> None:
    """As an error in the middle of a training."""
    raise LatexifyError("stopped")
