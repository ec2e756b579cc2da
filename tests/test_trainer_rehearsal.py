"""Saying beforehand what a training will do, and showing afterwards what it did."""

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from trainer_data import make_base, make_shards, make_tokenizer, quick_params

from shards.errors import LatexifyError
from trainer.config import ModelParams
from trainer.train import dry_run, run

torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Shards, their tokenizer, and a base model to start from."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    make_shards(tmp_path / "shards")
    make_base(tmp_path / "base", tokenizer)
    return tmp_path


def stage(data: Path, **changes: object) -> dict:
    """What `run` and `dry_run` both take."""
    return {
        "params": quick_params(**changes),
        "model": ModelParams(base=str(data / "base")),
        "seed": 1,
        "shards": data / "shards",
        "tokenizer": data / "tokenizer",
        "runs": data / "runs",
        "device": "cpu",
    }


def test_a_dry_run_measures_and_writes_nothing(data: Path) -> None:
    """It is run to learn the price before paying it; a checkpoint of it would be taken for a training."""
    before = sorted(data.rglob("*"))
    text = dry_run(**stage(data), num_steps=2)
    assert sorted(data.rglob("*")) == before
    said = {line.split("  ")[0]: line.split("  ", 1)[1].strip() for line in text.splitlines()}
    assert "from the beginning" in said["run"]
    assert said["steps"] == "12 of 12, 8 inks each: 2.4 epochs of 5 steps"
    assert "micro-batches of 5 on one process, fp32 on cpu" in said["a step"]
    assert "2 steps measured" in said["speed"]
    assert int(said["memory"].split()[0].replace(",", "")) > 100


def test_a_dry_run_knows_what_is_done_already(data: Path) -> None:
    """Whoever resumes wants to know what is left, not what the whole would cost."""
    from trainer.loop import Trainer

    original = Trainer._after_step

    def stop(self: Trainer, *rest: object, **named: object) -> None:
        original(self, *rest, **named)  # type: ignore[arg-type]
        if self.state.step == 6:
            raise LatexifyError("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_after_step", stop)
        with pytest.raises(LatexifyError, match="stopped"):
            run(**stage(data), out=data / "model", metrics=data / "train.json")
    assert "goes on after step 6" in dry_run(**stage(data), num_steps=1)
    run(**stage(data), out=data / "model", metrics=data / "train.json")
    with pytest.raises(LatexifyError, match="is finished"):
        dry_run(**stage(data))


def test_tensorboard_has_every_point_once(data: Path) -> None:
    """Points twice, as after a naive resume, draw a curve that runs backwards."""
    run(**stage(data, max_steps=6), out=data / "model", metrics=data / "train.json", board=True)
    origin = str(next((data / "runs").iterdir()))
    run(
        **stage(data, max_steps=12, resume_from=origin, resume_changes=["max_steps"]),
        out=data / "model",
        metrics=data / "train.json",
        board=True,
    )
    folder = next(path / "tensorboard" for path in (data / "runs").iterdir() if str(path) != origin)
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [event.step for event in events.Scalars("train_loss")] == [2, 4, 6, 8, 10, 12]
    assert [event.step for event in events.Scalars("valid_cer")] == [6, 12]
