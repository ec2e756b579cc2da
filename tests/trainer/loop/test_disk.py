"""A disk that fills with checkpoints: said before it happens, one line when it does, and nothing saved is lost."""

from pathlib import Path
from typing import Any

import pytest
import torch

from latexify.common.errors import LatexifyError
from latexify.trainer.loop.disk import DiskNeed, disk_need, warn_of_short_disk
from latexify.trainer.runs.files import bests_in, checkpoints_in, is_whole
from latexify.trainer.train import open_trainer
from tests.support.full_disk import resize, small_disk
from tests.support.trainer_data import stage_inputs, train

torch.set_num_threads(1)

SPARE = 64 << 10
"""Room for the history and the manifest."""


def need_of(data: Path, place: Path, **changes: Any) -> DiskNeed:
    """What a training says that it needs."""
    with open_trainer(**stage_inputs(data, place, **changes)) as trainer:
        return disk_need(trainer.stepper, num_kept=trainer.inputs.params.keep_checkpoints)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_room_that_is_said_is_what_files_take(training_data: Path, tmp_path: Path, ema_decay: float) -> None:
    """Whoever makes the room that is asked for must not run out of it."""
    changes = {"ema_decay": ema_decay, "freeze": ["embeddings"], "max_steps": 4, "validate_steps": 2, "warmup_steps": 0}
    need = need_of(training_data, tmp_path, **changes)
    train(training_data, tmp_path, **changes)
    [run] = (tmp_path / "runs").iterdir()
    [checkpoint] = checkpoints_in(run).values()
    for said, path in ((need.checkpoint, checkpoint), (need.best, bests_in(run)[min(bests_in(run))])):
        assert 0 <= path.stat().st_size - said < 100_000, "some 300 bytes more for each of 208 tensors"
    assert need.peak == 3 * (need.checkpoint + need.best)


def test_a_short_disk_is_said_before_the_training(
    training_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After two days it is too late to choose another disk."""
    need = need_of(training_data, tmp_path, max_steps=1, warmup_steps=0)
    with small_disk(tmp_path / "disk", num_bytes=need.peak - 100_000) as disk:
        train(training_data, disk, max_steps=1, warmup_steps=0)
        [line] = [line for line in capsys.readouterr().err.splitlines() if "the disk is short of room" in line]
        assert f"need up to {need.peak / 2**20:.1f} MiB more" in line
        assert "latexify runs" in line
        [run] = (path for path in (disk / "runs").iterdir() if path.is_dir())
        assert warn_of_short_disk(run, need)
        resize(disk, num_bytes=2 * need.peak)
        assert not warn_of_short_disk(run, need)


def test_a_disk_that_fills_keeps_the_latest_checkpoint(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Room for one checkpoint: the second is one line, the first continues to the same end when there is room.

    torch says "unexpected pos 768 vs 662" of a full disk.
    """
    need = need_of(training_data, tmp_path)
    with small_disk(tmp_path / "disk", num_bytes=need.checkpoint + need.best + SPARE) as disk:
        with pytest.raises(LatexifyError, match=r"the disk is full, .*; the checkpoint of step 3 is whole") as caught:
            train(training_data, disk)
        assert "\n" not in str(caught.value)
        [run] = (path for path in (disk / "runs").iterdir() if path.is_dir())
        assert list(checkpoints_in(run)) == [3]
        assert is_whole(checkpoints_in(run)[3])
        assert not list(run.glob(".*"))
        resize(disk, num_bytes=64 << 20)
        assert train(training_data, disk) == finished_run[1]


def test_older_checkpoints_make_room(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """With room for two checkpoints, keeping three is a wish, and no reason to stop."""
    need = need_of(training_data, tmp_path)
    room = 2 * need.checkpoint + 3 * need.best + SPARE
    with small_disk(tmp_path / "disk", num_bytes=room) as disk:
        assert train(training_data, disk, keep_checkpoints=3, export_dtype="float16")["steps"] == 12
        [run] = (path for path in (disk / "runs").iterdir() if path.is_dir())
        assert list(checkpoints_in(run)) == [12]
        assert bests_in(run).keys() == {finished_run[1]["best_step"]}


def test_a_disk_that_is_full_from_the_start_says_so(training_data: Path, tmp_path: Path) -> None:
    """No checkpoint is there yet: the line must not speak of one."""
    with (
        small_disk(tmp_path / "disk", num_bytes=SPARE) as disk,
        pytest.raises(LatexifyError, match=r"the disk is full, .*; no checkpoint was written yet: make room"),
    ):
        train(training_data, disk)
