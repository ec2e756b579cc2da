"""Checkpoints: everything a training needs to continue as if it had not been interrupted."""

import errno
import json
import pickle
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch

from latexify.artifacts.files import atomic_file, write_json
from latexify.common.errors import LatexifyError, first_line
from latexify.trainer.data.specs import Position
from latexify.trainer.loop.history import HistoryRow, RowWindow
from latexify.trainer.runs.files import FINISHED_NAME, best_path, checkpoint_path, checkpoints_in, is_whole, surplus

CHECKPOINT_VERSION = 6
"""Version of a checkpoint's content and of the arithmetic of a step; raised whenever a resumed run would differ."""
CONTENT = frozenset({"version", "state", "model", "average", "optimizer", "scaler"})
"""Keys of a checkpoint; `average` holds the EMA."""
FULL_DISK = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of the errors of a disk, or a quota, that is full."""


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best validation so far: lowest character CER, then lowest loss, then first."""

    step: int
    valid_cer: float
    valid_loss: float


@dataclass(kw_only=True)
class RunState:
    """Where a run stands, besides weights, optimizer and scaler."""

    step: int = 0  # optimizer steps done
    position: Position = field(default_factory=Position)  # the next global batch
    samples_seen: int = 0  # trained on
    num_skipped: int = 0  # steps skipped in a row, fp16 only
    num_stale: int = 0  # validations in a row that were not better than the best
    finished: bool = False  # whether nothing is left to train
    damaged: list[int] = field(default_factory=list)  # rows of unreadable training samples, in the order they were met
    best: Best | None = None
    window: RowWindow = field(default_factory=RowWindow)  # since the last row of the history
    rows: list[HistoryRow] = field(default_factory=list)  # the history
    seconds: float = 0.0  # spent on the steps of `rows`
    # of the grammar that validations keep to (JSON values); None: to none, as in checkpoints of earlier versions
    allowances: dict[str, Any] | None = None

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "RunState":
        """Undo `dataclasses.asdict`."""
        best = Best(**raw["best"]) if raw["best"] else None
        parts = {"position": Position(**raw["position"]), "best": best, "window": RowWindow(**raw["window"])}
        return cls(**{**raw, **parts})


class CheckpointFolder:
    """The checkpoints of one run: the latest few, and the weights of the best models that they refer to."""

    def __init__(self, folder: Path, *, keep: int) -> None:
        self.folder = folder
        self._keep = keep

    def save(self, state: RunState, tensors: dict[str, Any]) -> Path:
        """Write a checkpoint and delete the oldest. tensors: state dictionaries, by the names in `CONTENT`.

        Where the disk is full, all checkpoints but the latest are deleted first. Raises OSError if it is still full.
        """
        path = checkpoint_path(self.folder, state.step)
        self._write({"version": CHECKPOINT_VERSION, "state": asdict(state), **tensors}, path)
        _remove(surplus(self.folder, keep=self._keep))
        return path

    @property
    def latest_step(self) -> int | None:
        """The step of the latest checkpoint, or of a finished run; None if there is neither."""
        steps = checkpoints_in(self.folder)
        if steps:
            return max(steps)
        finished = self.load_finished()
        return None if finished is None else finished.step

    def load_latest(self) -> tuple[RunState, dict[str, Any]] | None:
        """Read the latest checkpoint onto the CPU; None if there is none. Raises LatexifyError if it is damaged."""
        paths = checkpoints_in(self.folder)
        if not paths:
            return None
        latest = paths[max(paths)]
        content = _load(latest, keys=CONTENT, fix="remove it to continue from the one before")
        self._check_version(content.pop("version"), latest)
        return RunState.from_dict(content.pop("state")), content

    def save_best(self, step: int, weights: dict[str, torch.Tensor]) -> None:
        """Save the weights of the model of this step; a full disk is as for :meth:`save`."""
        self._write(weights, best_path(self.folder, step))

    def load_best(self, step: int) -> dict[str, torch.Tensor]:
        """Load the weights of this step. Raises LatexifyError if they are missing or damaged."""
        self.require_best(step)
        return _load(best_path(self.folder, step), fix=f"put it back, or remove {self.folder} to train anew")

    def require_best(self, step: int) -> None:
        """Raise LatexifyError if the weights of this step are missing."""
        path = best_path(self.folder, step)
        if not path.is_file():
            raise LatexifyError(
                f"{path}, the best model so far, is missing: put it back, or remove {self.folder} to train anew"
            )

    def finish(self, state: RunState) -> None:
        """Note that the run is finished, and keep only its latest checkpoint and its best model."""
        write_json(self.folder / FINISHED_NAME, {"version": CHECKPOINT_VERSION, "state": asdict(state)})
        _remove(surplus(self.folder, keep=1))

    def load_finished(self) -> RunState | None:
        """Read where a finished run stands; None if it is not finished. Raises LatexifyError if that is damaged."""
        path = self.folder / FINISHED_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            version, state = content["version"], RunState.from_dict(content["state"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise LatexifyError(
                f"{path} is damaged ({first_line(error)}): remove it to go on from the latest checkpoint, or remove "
                f"{self.folder} to train anew"
            ) from None
        self._check_version(version, path)
        return state

    def _check_version(self, version: object, path: Path) -> None:
        if version != CHECKPOINT_VERSION:
            raise LatexifyError(f"{path} was written by another version of latexify: remove {self.folder}")

    def _write(self, content: dict[str, Any], path: Path) -> None:
        try:
            _save(content, path)
        except OSError as error:
            if error.errno not in FULL_DISK or not self._make_room():
                raise
            _save(content, path)

    def _make_room(self) -> bool:
        """Delete all but the latest checkpoint, if that is whole; return whether there was any other."""
        steps, others = checkpoints_in(self.folder), surplus(self.folder, keep=1)
        if not others or not is_whole(steps[max(steps)]):
            return False
        _remove(others)
        return True


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink()


class _WatchedFile:
    """A file that remembers why it could not be written, because torch raises an error of its own then."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def _save(content: dict[str, Any], path: Path) -> None:
    """Write tensors to a file, atomically. Raises OSError if that fails."""
    with atomic_file(path) as file:
        watched = _WatchedFile(file)
        try:
            torch.save(content, watched)  # type: ignore[arg-type]  # it asks for `write` and `flush` only
        except RuntimeError:
            if watched.error is None:
                raise
            raise watched.error from None


def _load(path: Path, *, keys: frozenset[str] = frozenset(), fix: str) -> dict[str, Any]:
    """Read a file of `_save` with at least these keys, without running anything in it. fix: for the errors."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.testzip()  # torch writes checksums but does not compare them
        damaged = member and f"the CRC-32 of {member} does not match"
        content = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise LatexifyError(
            f"{path} contains pickled objects and was not opened: latexify did not write it, so do not trust its "
            f"source; {fix}"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        damaged = first_line(error)
    if damaged:
        raise LatexifyError(f"checkpoint {path} cannot be read ({damaged}): {fix}")
    if not isinstance(content, dict) or not keys <= content.keys():
        raise LatexifyError(f"{path} is not a checkpoint of latexify: {fix}")
    return content
