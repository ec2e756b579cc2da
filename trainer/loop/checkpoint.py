"""Checkpoints: everything a training needs to continue as if it had not been interrupted."""

import pickle
import re
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from latexify.artifacts.files import atomic_file
from latexify.common.errors import LatexifyError, first_line
from latexify.trainer.data.specs import Position
from latexify.trainer.loop.history import HistoryRow, RowWindow

CHECKPOINT_VERSION = 5
"""Version of a checkpoint's content and of the arithmetic of a step; raised whenever a resumed run would differ."""
CONTENT = frozenset({"version", "state", "model", "average", "optimizer", "scaler"})
"""Keys of a checkpoint; `average` holds the EMA."""


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
        """Write a checkpoint and delete the oldest. tensors: state dictionaries, by the names in `CONTENT`."""
        path = self.folder / f"step-{state.step:08d}.pt"
        _save({"version": CHECKPOINT_VERSION, "state": asdict(state), **tensors}, path)
        self._prune()
        return path

    @property
    def latest_step(self) -> int | None:
        """The step of the latest checkpoint; None if there is none."""
        return max(self._numbered("step"), default=None)

    def load_latest(self) -> tuple[RunState, dict[str, Any]] | None:
        """Read the latest checkpoint onto the CPU; None if there is none. Raises LatexifyError if it is damaged."""
        paths = self._numbered("step")
        if not paths:
            return None
        latest = paths[max(paths)]
        content = _load(latest, keys=CONTENT, fix="remove it to continue from the one before")
        if content.pop("version") != CHECKPOINT_VERSION:
            raise LatexifyError(f"{latest} was written by another version of latexify: remove {self.folder}")
        return RunState.from_dict(content.pop("state")), content

    def save_best(self, step: int, weights: dict[str, torch.Tensor]) -> None:
        """Save the weights of the model of this step."""
        _save(weights, self._best_path(step))

    def load_best(self, step: int) -> dict[str, torch.Tensor]:
        """Load the weights of this step. Raises LatexifyError if they are missing or damaged."""
        self.require_best(step)
        return _load(self._best_path(step), fix=f"put it back, or remove {self.folder} to train anew")

    def require_best(self, step: int) -> None:
        """Raise LatexifyError if the weights of this step are missing."""
        if not self._best_path(step).is_file():
            raise LatexifyError(
                f"{self._best_path(step)}, the best model so far, is missing: put it back, or remove {self.folder} "
                "to train anew"
            )

    def _best_path(self, step: int) -> Path:
        return self.folder / f"best-{step:08d}.pt"

    def _prune(self) -> None:
        checkpoints = self._numbered("step")
        for step in sorted(checkpoints)[: -self._keep]:
            checkpoints.pop(step).unlink()
        oldest = min(checkpoints)
        # the oldest kept checkpoint refers to the last best model before it; no checkpoint refers to earlier ones
        bests = self._numbered("best")
        for step in sorted(step for step in bests if step <= oldest)[:-1]:
            bests[step].unlink()

    def _numbered(self, kind: str) -> dict[int, Path]:
        matches = ((re.fullmatch(rf"{kind}-(\d+)\.pt", path.name), path) for path in self.folder.glob(f"{kind}-*.pt"))
        return {int(match[1]): path for match, path in matches if match}


def _save(content: dict[str, Any], path: Path) -> None:
    with atomic_file(path) as file:
        torch.save(content, file)


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
