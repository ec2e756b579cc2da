"""What a run prints and writes into its folder besides checkpoints; with several ranks only rank 0 does."""

import importlib
import shutil
from pathlib import Path
from typing import Any

from latexify.artifacts.files import write_json
from latexify.common.errors import LatexifyError
from latexify.common.extras import missing_extra
from latexify.common.progress import Progress
from latexify.shards.format.index import SplitIndex
from latexify.trainer.data.batches import GlobalBatch
from latexify.trainer.loop.checkpoint import RunState
from latexify.trainer.loop.history import HistoryRow, write_history
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.validation import Validation


class Reporter:
    """Writes into `folder` and to `progress`; with `board`, for TensorBoard as well."""

    def __init__(self, folder: Path, progress: Progress, *, ranks: Ranks, board: bool) -> None:
        self._folder, self._progress, self._ranks = folder, progress, ranks
        self._board = TensorBoardWriter(folder) if board and ranks.is_main else None

    def log(self, text: str) -> None:
        """Print one line."""
        self._progress.message(text)

    def advance(self, num_samples: int, state: RunState) -> None:
        """Count samples as done."""
        last_loss = state.rows[-1]["train_loss"] if state.rows and not state.window.num_tokens else None
        loss = state.window.train_loss if last_loss is None else last_loss
        self._progress.advance(num_samples, note=f"step {state.step}, loss {loss:.3f}")

    def write_rows(self, state: RunState) -> None:
        """Write the whole history, so that no row is ever there twice."""
        if self._ranks.is_main:
            write_history(self._folder, state.rows)
        if self._board is not None:
            self._board.write(state.rows)

    def log_validation(self, validation: Validation, state: RunState, *, improved: bool) -> None:
        """Print how good the model is, with a few predictions."""
        mark = " (best)" if improved else ""
        self.log(f"step {state.step}: valid loss {validation.loss:.3f}, CER {validation.cer:.1%}{mark}")
        for reference, prediction in validation.examples:
            self.log(f"    {reference}  read as  {prediction or '(nothing)'}")
        if state.finished and state.num_stale and state.best is not None:
            self.log(f"no validation was better than that of step {state.best.step}, {state.num_stale} in a row")

    def count_damage(self, batch: GlobalBatch, state: RunState, *, index: SplitIndex, max_fraction: float) -> None:
        """Log each damaged sample when it is first left out. Raises LatexifyError if there are too many."""
        limit = int(max_fraction * len(index))
        for damage in batch.damaged:
            if damage.row in state.damaged:
                continue
            state.damaged.append(damage.row)
            if len(state.damaged) > limit:
                raise LatexifyError(
                    f"{damage.reason}, or raise train.max_damaged_fraction: it allows {limit} damaged of {len(index)} "
                    f"samples, this is number {len(state.damaged)}"
                )
            self.log(f"train: left out ({len(state.damaged)} of at most {limit}): {damage.reason}")

    def failure(self, batch: GlobalBatch, problem: str, *, index: SplitIndex, step: int) -> LatexifyError:
        """Return the error to raise, after writing the keys of the batch to a file: one of them is the bad sample."""
        path = self._folder / f"failed-step-{step:08d}.json"
        if self._ranks.is_main:
            keys = [index.keys[int(row)].as_py() for row in batch.spec.global_rows]
            write_json(path, {"step": step, "problem": problem, "keys": keys})
        return LatexifyError(
            f"training failed at step {step}: {problem}; the keys of its batch are in {path}: "
            "lower train.learning_rate, or set train.precision to bf16 or fp32"
        )


class TensorBoardWriter:
    """Writes the history as scalars into `folder`/tensorboard. Raises LatexifyError if the package is not installed.

    A new writer writes all rows again from the first, so a resumed run has each point once.
    """

    def __init__(self, folder: Path) -> None:
        try:
            module = importlib.import_module("torch.utils.tensorboard")
        except ImportError as error:
            raise missing_extra("tensorboard", package=error.name, needed_by="--tensorboard") from None
        target = folder / "tensorboard"
        shutil.rmtree(target, ignore_errors=not target.exists())
        self._writer: Any = module.SummaryWriter(str(target))
        self._num_written = 0

    def write(self, rows: list[HistoryRow]) -> None:
        """Write those of all `rows` that are new."""
        for row in rows[self._num_written :]:
            for name, value in row.items():
                if name != "step" and value is not None:
                    self._writer.add_scalar(name, value, row["step"])
        self._num_written = len(rows)
        self._writer.flush()
