"""Lists trainings: where each stands, how good its best model is, and the room that it takes."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexify.artifacts.draft import is_being_written
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import HISTORY_LINES_NAME, MANIFEST_NAME, MODEL
from latexify.common.errors import LatexifyError
from latexify.trainer.runs.files import FINISHED_NAME, bests_in, checkpoints_in


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training."""

    folder: Path
    is_training: bool  # whether a process is training it now
    is_finished: bool
    step: int  # of its latest checkpoint; of a finished run the last step
    max_steps: int
    best_cer: float | None  # of the best validation; None before the first
    best_step: int | None
    checkpoint_bytes: int
    best_bytes: int  # of the weights of best models
    num_bytes: int  # of the whole folder, with the files of trackers
    changed_s: float  # when a file was written last, seconds since 1970

    @property
    def state(self) -> str:
        """The state in words."""
        if self.is_training:
            return "training"
        return "finished" if self.is_finished else "stopped"


def list_runs(runs: Path) -> tuple[list[Run], list[str]]:
    """Return all runs, the one that changed last first, and a line for each folder that is not readable as a run."""
    found, problems = [], []
    for path in sorted(runs.glob(f"*/{MANIFEST_NAME}")):
        try:
            found.append(read_run(path.parent))
        except LatexifyError as error:
            problems.append(str(error))
    return sorted(found, key=lambda run: -run.changed_s), problems


def read_run(folder: Path) -> Run:
    """Read where a run stands. Raises LatexifyError if the folder is none, or is damaged."""
    train = read_manifest(folder, MODEL).params["train"]
    checkpoints, bests = checkpoints_in(folder), bests_in(folder)
    files = [path.stat() for path in _files_in(folder)]
    finished = _finished_state(folder)
    validations = [row for row in _history(folder) if row["valid_cer"] is not None]
    best = min(validations, key=lambda row: (row["valid_cer"], row["valid_loss"], row["step"]), default=None)
    step = finished["step"] if finished else max(checkpoints, default=0)
    return Run(
        folder=folder,
        is_training=is_being_written(folder),
        # before `finished.json` was written, only the number of steps told
        is_finished=finished is not None or step >= train["max_steps"],
        step=step,
        max_steps=train["max_steps"],
        best_cer=None if best is None else best["valid_cer"],
        best_step=None if best is None else best["step"],
        checkpoint_bytes=sum(path.stat().st_size for path in checkpoints.values()),
        best_bytes=sum(path.stat().st_size for path in bests.values()),
        num_bytes=sum(stat.st_size for stat in files),
        changed_s=max(stat.st_mtime for stat in files),
    )


def format_runs(runs: Sequence[Run], *, exported: str | None) -> str:
    """Format runs as a table for people, with a line of sums. exported: fingerprint of the model in data/model."""
    rows = [("run", "state", "step", "best CER", "checkpoints", "best models", "all files", "changed", "")]
    for run in runs:
        best = "-" if run.best_cer is None else f"{run.best_cer:.2%} at {run.best_step:,}"
        sizes = (f"{size / 2**20:,.1f} MiB" for size in (run.checkpoint_bytes, run.best_bytes, run.num_bytes))
        changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.changed_s))
        mark = "data/model" if run.folder.name == exported else ""
        rows.append(
            (run.folder.name, run.state, f"{run.step:,} of {run.max_steps:,}", best, *sizes, changed, mark)  # type: ignore[arg-type]  # three sizes
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    total = sum(run.num_bytes for run in runs) / 2**20
    return "\n".join([*lines, f"{len(runs)} runs, {total:,.1f} MiB"])


def _files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _finished_state(folder: Path) -> dict[str, Any] | None:
    path = folder / FINISHED_NAME
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["state"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LatexifyError(f"{path} is damaged ({error})") from None
    return state


def _history(folder: Path) -> list[dict[str, Any]]:
    path = folder / HISTORY_LINES_NAME
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise LatexifyError(f"{path} is damaged ({error})") from None
