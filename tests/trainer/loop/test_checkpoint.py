"""Checkpoint files: whole or refused, and nothing in them is ever run."""

import errno
import os
import pickle
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latexify.artifacts import files
from latexify.common.errors import LatexifyError
from latexify.trainer.loop.checkpoint import CHECKPOINT_VERSION, CheckpointFolder, RunState
from latexify.trainer.runs.files import FINISHED_NAME
from tests.support.trainer_data import (
    train,
)

torch.set_num_threads(1)


TENSORS = {name: {"w": torch.arange(9.0)} for name in ("model", "average", "optimizer", "scaler")}


class Harmful:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._path),)


def folder_with(tmp_path: Path, *steps: int) -> CheckpointFolder:
    """A folder with small checkpoints of these steps."""
    folder = CheckpointFolder(tmp_path / "run", keep=len(steps))
    for step in steps:
        folder.save(RunState(step=step), TENSORS)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of two kilobytes."""
    return folder_with(tmp_path_factory.mktemp("small"), 4).folder / "step-00000004.pt"


@given(data=st.data(), value=st.integers(0, 255))
def test_a_changed_byte_is_noticed_or_harmless(small: Path, data: st.DataObject, value: int) -> None:
    """Torch loads a file with flipped bits without a word, and the run goes on from weights that nobody trained."""
    original = small.read_bytes()
    place = data.draw(st.integers(0, len(original) - 1))
    try:
        small.write_bytes(original[:place] + bytes([value]) + original[place + 1 :])
        latest = CheckpointFolder(small.parent, keep=1).load_latest()
    except LatexifyError as error:
        assert "remove it to continue from the one before" in str(error)  # noqa: PT017  # either outcome is right
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert latest is not None
        state, tensors = latest
        assert state == RunState(step=4)
        assert all(torch.equal(found["w"], TENSORS[name]["w"]) for name, found in tensors.items())
    finally:
        small.write_bytes(original)


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"no checkpoint at all", pickle.dumps({"version": CHECKPOINT_VERSION})]
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    """An editor, a broken copy or another program may leave anything there."""
    folder = folder_with(tmp_path, 3, 6)
    (folder.folder / "step-00000006.pt").write_bytes(content)
    with pytest.raises(
        LatexifyError, match=r"step-00000006\.pt cannot be read \(.*\): remove it to continue from the one"
    ):
        folder.load_latest()
    (folder.folder / "step-00000006.pt").unlink()  # as it says
    latest = folder.load_latest()
    assert latest is not None
    assert latest[0].step == 3


@pytest.mark.parametrize("content", [[1, 2], {"weights": torch.ones(2)}, {"version": CHECKPOINT_VERSION}])
def test_numbers_of_something_else_are_no_checkpoint(tmp_path: Path, content: object) -> None:
    """Weights saved by another program open as well as ours do."""
    folder = folder_with(tmp_path, 4)
    torch.save(content, folder.folder / "step-00000006.pt")
    with pytest.raises(LatexifyError, match=r"step-00000006\.pt is not a checkpoint of latexify: remove it"):
        folder.load_latest()


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path) -> None:
    """A resumed run would not be what the old code, or the new, gives."""
    folder = folder_with(tmp_path, 4)
    older = {"version": CHECKPOINT_VERSION - 1, "state": asdict(RunState()), **TENSORS}
    torch.save(older, folder.folder / "step-00000006.pt")
    with pytest.raises(LatexifyError, match=r"was written by another version of latexify: remove .*run"):
        folder.load_latest()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_from_an_untrusted_place_runs_nothing(tmp_path: Path, *, zipped: bool) -> None:
    """Runs are passed around; unpickled, a prepared file could do anything to whoever resumes."""
    folder = folder_with(tmp_path, 4)
    content = {"version": CHECKPOINT_VERSION, "state": Harmful(tmp_path / "harm"), **TENSORS}
    path = folder.folder / "step-00000006.pt"
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(LatexifyError, match=r"(was not opened|cannot be read)") as caught:
        folder.load_latest()
    assert not (tmp_path / "harm").exists()
    assert "weights_only" not in str(caught.value)  # torch's own advice is to switch the protection off
    torch.load(path, weights_only=False) if zipped else pickle.loads(path.read_bytes())  # noqa: S301  # our own
    assert (tmp_path / "harm").exists()  # the file does what it should not


def test_a_missing_best_model_is_found_out_at_once(training_data: Path, tmp_path: Path) -> None:
    """It is what will be exported: not to be missed after the rest of the training."""
    train(training_data, tmp_path, max_steps=4, validate_steps=2, warmup_steps=0)
    for path in tmp_path.glob("runs/*/best-*.pt"):
        path.unlink()
    with pytest.raises(LatexifyError, match=r"best-\d+\.pt, the best model so far, is missing: put it back, or remove"):
        train(training_data, tmp_path, max_steps=4, validate_steps=2, warmup_steps=0)


def test_a_damaged_checkpoint_does_not_start_the_run_anew(training_data: Path, tmp_path: Path) -> None:
    """Silently starting over would throw days of training away."""
    train(training_data, tmp_path, max_steps=4, warmup_steps=0)
    latest = next(tmp_path.glob("runs/*/step-00000004.pt"))
    latest.write_bytes(latest.read_bytes()[:1000])
    (latest.parent / FINISHED_NAME).unlink()  # a finished run needs no checkpoint
    with pytest.raises(LatexifyError, match=r"step-00000004\.pt cannot be read .* remove it"):
        train(training_data, tmp_path, max_steps=4, warmup_steps=0)


def test_a_full_disk_leaves_the_last_whole_checkpoint(
    training_data: Path, finished_run: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """Disks also fill while a file is flushed; what was saved before must be there to go on from."""
    saved: list[int] = []

    def fsync(file: int) -> None:
        if ".pt." not in Path(f"/proc/self/fd/{file}").readlink().name:
            return  # the history is written in the same way
        saved.append(1)
        if len(saved) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "os", SimpleNamespace(fsync=fsync, getpid=os.getpid))
        with pytest.raises(LatexifyError, match=r"the disk is full, .*; the checkpoint of step 3 is whole and kept"):
            train(training_data, tmp_path)
    assert [path.name for path in tmp_path.glob("runs/*/*.pt*")] == ["step-00000003.pt"]
    assert not list(tmp_path.glob("runs/*/.*"))
    assert train(training_data, tmp_path) == finished_run[1]
