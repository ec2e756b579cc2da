"""What a run tells people and leaves in its folder, besides checkpoints; of several ranks only the first speaks."""

from pathlib import Path

from latexify.artifacts.files import write_json
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.shards.format.index import SplitIndex
from latexify.trainer.data.feed import GlobalBatch
from latexify.trainer.loop.checkpoint import RunState
from latexify.trainer.loop.history import write_history
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.tensorboard import Board
from latexify.trainer.loop.validation import Validation


class Journal:
    """Writes into `folder` and to `progress`. board: whether to write for TensorBoard as well."""

    def __init__(self, folder: Path, progress: Progress, *, ranks: Ranks, board: bool) -> None:
        self._folder, self._progress, self._ranks = folder, progress, ranks
        self._board = Board(folder) if board and ranks.is_main else None

    def say(self, text: str) -> None:
        """One line for people."""
        self._progress.message(text)

    def advance(self, num_samples: int, state: RunState) -> None:
        """Count samples as done."""
        last_loss = state.rows[-1]["train_loss"] if state.rows and not state.window.num_tokens else None
        loss = state.window.train_loss if last_loss is None else last_loss
        self._progress.advance(num_samples, note=f"step {state.step}, loss {loss:.3f}")

    def write_rows(self, state: RunState) -> None:
        """Write the curve; whole each time, so that no row is ever there twice."""
        if self._ranks.is_main:
            write_history(self._folder, state.rows)
        if self._board is not None:
            self._board.write(state.rows)

    def show(self, validation: Validation, state: RunState, *, improved: bool) -> None:
        """Say how good the model is, with a few formulas that it read."""
        mark = " (best)" if improved else ""
        self.say(f"step {state.step}: valid loss {validation.loss:.3f}, CER {validation.cer:.1%}{mark}")
        for example in validation.examples:
            self.say(f"    {example.reference}  read as  {example.prediction or '(nothing)'}")
        if state.finished and state.num_stale and state.best is not None:
            self.say(f"no validation was better than that of step {state.best.step}, {state.num_stale} in a row")

    def count_damage(self, batch: GlobalBatch, state: RunState, *, index: SplitIndex, max_rate: float) -> None:
        """Name the samples that are left out for the first time. Raises LatexifyError where they are too many."""
        limit = int(max_rate * len(index))
        for damage in batch.damaged:
            if damage.row in state.damaged:
                continue
            state.damaged.append(damage.row)
            if len(state.damaged) > limit:
                raise LatexifyError(
                    f"{damage.reason}, or raise train.max_damaged_fraction: it allows {limit} damaged of {len(index)} "
                    f"samples, this is number {len(state.damaged)}"
                )
            self.say(f"train: left out ({len(state.damaged)} of at most {limit}): {damage.reason}")

    def failure(self, batch: GlobalBatch, problem: str, *, index: SplitIndex, step: int) -> LatexifyError:
        """The error to raise; which samples the batch held is written down for whoever has to find the bad one."""
        path = self._folder / f"failed-step-{step:08d}.json"
        if self._ranks.is_main:
            keys = [index.keys[int(row)].as_py() for row in batch.place.global_rows]
            write_json(path, {"step": step, "problem": problem, "keys": keys})
        return LatexifyError(
            f"training failed at step {step}: {problem}; the keys of its batch are in {path}: "
            f"lower train.learning_rate, or set train.precision to bf16 or fp32"
        )
