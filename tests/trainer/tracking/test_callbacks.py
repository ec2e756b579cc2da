"""Callbacks of a training: when they are called, and what happens where one cannot be had or fails."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from latexify import Callback
from latexify.common.errors import LatexifyError
from latexify.common.extras import Extra
from latexify.trainer.tracking.callbacks import TRACKERS
from tests.support.trainer_data import history, train

torch.set_num_threads(1)

EVENTS: list[tuple[Any, ...]] = []


class Recorder(Callback):
    """Notes every call."""

    def on_start(self, run: Any, rows: Any) -> None:
        EVENTS.append(("start", run.folder.name, len(rows)))

    def on_step(self, step: int, *, loss: float, learning_rate: float) -> None:
        assert loss > 0
        EVENTS.append(("step", step, learning_rate > 0))

    def on_row(self, row: Any) -> None:
        EVENTS.append(("row", row["step"]))

    def on_validation(self, step: int, *, loss: float, cer: float, is_best: bool, examples: Any) -> None:
        assert loss > 0
        assert cer >= 0
        assert all(example.pixels.shape == (16, 64) and example.reference for example in examples)
        EVENTS.append(("validation", step, is_best, len(examples) > 0))

    def on_checkpoint(self, step: int, path: Path) -> None:
        assert path.is_file()
        EVENTS.append(("checkpoint", step))

    def on_end(self, *, is_finished: bool) -> None:
        EVENTS.append(("end", is_finished))


class Failing(Callback):
    """Raises in the middle."""

    def on_row(self, row: Any) -> None:
        if row["step"] == 4:
            raise ConnectionError("the server\nis gone")


@pytest.fixture(autouse=True)
def importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in the current folder, as users write one."""
    EVENTS.clear()
    (tmp_path / "mine.py").write_text(
        "from tests.trainer.tracking.test_callbacks import Failing, Recorder\nnone = 3\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_callback_of_the_users_is_called_at_each_event(training_data: Path, tmp_path: Path) -> None:
    """At each step, row, validation and checkpoint, in this order; a named callback changes no result."""
    train(training_data, tmp_path, max_steps=6, callbacks=["mine:Recorder"])
    run = next((tmp_path / "runs").iterdir()).name
    assert EVENTS[0] == ("start", run, 0)
    assert [event[1] for event in EVENTS if event[0] == "step"] == [1, 2, 3, 4, 5, 6]
    assert [event[1] for event in EVENTS if event[0] == "row"] == [2, 4, 6]
    assert [event[1] for event in EVENTS if event[0] == "checkpoint"] == [3, 6]
    assert EVENTS[-4:] == [("row", 6), ("validation", 6, True, True), ("checkpoint", 6), ("end", True)]
    train(training_data, tmp_path / "plain", max_steps=6)
    assert next((tmp_path / "plain" / "runs").iterdir()).name == run, "operational: no part of the fingerprint"
    assert history(tmp_path) == history(tmp_path / "plain")
    assert (tmp_path / "history.csv").read_bytes() == (tmp_path / "model" / "history.csv").read_bytes()


def test_a_callback_that_fails_is_one_line(
    training_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tracker whose server is gone must not end a training of days; the others go on."""
    train(training_data, tmp_path, max_steps=6, callbacks=["mine:Failing", "mine:Recorder"])
    lines = [line for line in capsys.readouterr().err.splitlines() if "without" in line]
    assert lines == ["train: without mine:Failing from here on (ConnectionError: the server)"]
    assert EVENTS[-1] == ("end", True)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_one_line(
    training_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: Extra,
) -> None:
    """The training is what matters."""
    for module in (TRACKERS[name], "torch.utils.tensorboard"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, name, None)
    train(training_data, tmp_path, max_steps=2, warmup_steps=0, log_to=[name])
    lines = [line for line in capsys.readouterr().err.splitlines() if "without" in line]
    assert len(lines) == 1
    assert f"train: without {name}: train.log_to needs the package {name}" in lines[0]
    assert f"pip install -e '.[{name}]'" in lines[0]


@pytest.mark.parametrize(
    ("name", "problem"),
    [("mine:Nobody", "AttributeError"), ("nowhere:X", "ModuleNotFoundError"), ("mine", "AttributeError")],
)
def test_a_callback_that_does_not_exist_stops_at_once(
    training_data: Path, tmp_path: Path, name: str, problem: str
) -> None:
    """Unlike a tracker, it is a mistake in params.yaml, and best seen before the training."""
    with pytest.raises(LatexifyError, match=rf"train.callbacks: {name} cannot be made \({problem}"):
        train(training_data, tmp_path, callbacks=[name])
