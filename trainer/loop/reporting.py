"""What a run prints and writes into its folder besides checkpoints; with several ranks only rank 0 does."""

from pathlib import Path

from latexify.artifacts.files import write_json
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.shards.format.index import SplitIndex
from latexify.trainer.config import TrainParams
from latexify.trainer.data.batches import GlobalBatch
from latexify.trainer.loop.checkpoint import RunState
from latexify.trainer.loop.history import write_curve, write_history
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.step import StepResult
from latexify.trainer.loop.validation import Validation
from latexify.trainer.tracking.callback import RunFacts
from latexify.trainer.tracking.callbacks import Callbacks, open_callbacks


class Reporter:
    """Writes into the run's folder and to `progress`, the curve to `curve` as well, and calls callbacks."""

    def __init__(self, run: RunFacts, progress: Progress, *, ranks: Ranks, curve: Path | None) -> None:
        self._run, self._progress, self._ranks, self._curve = run, progress, ranks, curve
        self._callbacks = Callbacks({}, log=self.log)
        self._num_told = 0  # rows that the callbacks know

    def start(self, params: TrainParams, state: RunState) -> None:
        """Open the callbacks and tell them of the session. Raises LatexifyError, on every rank, if one cannot be made.

        Rows of the history that they have not been told of are told with :meth:`write_rows`.
        """
        with self._ranks.share_errors():
            if self._ranks.is_main:
                self._callbacks = open_callbacks(params.log_to, params.callbacks, run=self._run, log=self.log)
        self._callbacks.call("on_start", self._run, state.rows)
        self._num_told = len(state.rows)

    def end(self, state: RunState) -> None:
        """Tell the callbacks that the session ends."""
        self._callbacks.call("on_end", is_finished=state.finished)

    def tell_step(self, state: RunState, result: StepResult, *, learning_rate: float) -> None:
        """Tell the callbacks of a step that was made with this learning rate."""
        loss = result.loss_sum / result.num_tokens
        self._callbacks.call("on_step", state.step, loss=loss, learning_rate=learning_rate)

    def tell_checkpoint(self, state: RunState, path: Path) -> None:
        """Tell the callbacks of a checkpoint."""
        self._callbacks.call("on_checkpoint", state.step, path)

    def log(self, text: str) -> None:
        """Print one line."""
        self._progress.message(text)

    def advance(self, num_samples: int, state: RunState) -> None:
        """Count samples as done."""
        last_loss = state.rows[-1]["train_loss"] if state.rows and not state.window.num_tokens else None
        loss = state.window.train_loss if last_loss is None else last_loss
        self._progress.advance(num_samples, note=f"step {state.step}, loss {loss:.3f}")

    def write_rows(self, state: RunState) -> None:
        """Write the whole history, so that no row is ever there twice, and tell the callbacks of the new rows."""
        if self._ranks.is_main:
            write_history(self._run.folder, state.rows)
            if self._curve is not None:
                write_curve(self._curve, state.rows)
        for row in state.rows[self._num_told :]:
            self._callbacks.call("on_row", row)
        self._num_told = len(state.rows)

    def log_validation(self, validation: Validation, state: RunState, *, improved: bool) -> None:
        """Print how good the model is, with a few predictions, and tell the callbacks."""
        mark = " (best)" if improved else ""
        self.log(f"step {state.step}: valid loss {validation.loss:.3f}, CER {validation.cer:.1%}{mark}")
        for example in validation.examples:
            self.log(f"    {example.reference}  read as  {example.prediction or '(nothing)'}")
        if state.finished and state.num_stale and state.best is not None:
            self.log(f"no validation was better than that of step {state.best.step}, {state.num_stale} in a row")
        figures = {"loss": validation.loss, "cer": validation.cer, "is_best": improved}
        self._callbacks.call("on_validation", state.step, **figures, examples=validation.examples)

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
        path = self._run.folder / f"failed-step-{step:08d}.json"
        if self._ranks.is_main:
            keys = [index.keys[int(row)].as_py() for row in batch.spec.global_rows]
            write_json(path, {"step": step, "problem": problem, "keys": keys})
        return LatexifyError(
            f"training failed at step {step}: {problem}; the keys of its batch are in {path}: "
            "lower train.learning_rate, or set train.precision to bf16 or fp32"
        )
