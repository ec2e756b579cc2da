"""The training loop: steps, rows of the curve, validations, checkpoints; interruptible anywhere between two steps."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch.utils.data import DataLoader

from shards.errors import LatexifyError
from shards.files import write_json
from shards.index import SplitIndex
from shards.progress import Progress
from trainer.batches import Damage, MicroBatch, close_loader, naming_dead_workers, open_loader
from trainer.checkpoint import Best, CheckpointFolder, RunState
from trainer.config import TrainParams
from trainer.history import HISTORY_NAME, Row, Window, write_history
from trainer.model import LoadedModel, has_batch_norm
from trainer.precision import Precision
from trainer.schedule import learning_rate
from trainer.signals import StopSignals
from trainer.slices import plan
from trainer.step import NonFiniteError, Stepper, StepResult
from trainer.validation import Validation, Validator

MAX_SKIPPED = 30
"""fp16 steps skipped in a row before we give up: by then the loss scale has fallen from 65,536 below 1e-4."""


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """What a run is made of. folder: where its checkpoints go; it belongs to this run alone."""

    params: TrainParams
    loaded: LoadedModel
    train_index: SplitIndex
    valid_index: SplitIndex
    precision: Precision
    seed: int
    folder: Path


class Trainer:
    """Trains one run to its end, going on where its checkpoints stop."""

    def __init__(self, inputs: RunInputs) -> None:
        self._inputs, self._params = inputs, inputs.params
        self._stepper = Stepper(inputs.loaded.model, inputs.params, precision=inputs.precision, seed=inputs.seed)
        self._checkpoints = CheckpointFolder(inputs.folder, keep=inputs.params.keep_checkpoints)
        self._validator = Validator(
            inputs.valid_index,
            num_samples=inputs.params.validate_samples,
            batch_size=inputs.params.micro_batch,
            seed=inputs.seed,
            precision=inputs.precision,
        )
        self.state = RunState()
        self._saved_at_s = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def folder(self) -> Path:
        """Where checkpoints and the growing history go."""
        return self._inputs.folder

    def resume(self) -> bool:
        """Load the latest checkpoint, if there is one; returns whether there was."""
        found = self._checkpoints.load_latest()
        if found is None:
            return False
        self.state, tensors = found
        self._inputs.loaded.model.load_state_dict(tensors["model"])
        self._stepper.optimizer.load_state_dict(tensors["optimizer"])
        self._stepper.scaler.load_state_dict(tensors["scaler"])
        return True

    def train(self) -> None:
        """Train to the last step. Raises LatexifyError, after writing a checkpoint, where a signal asks to stop."""
        left = self._params.max_steps - self.state.step
        if left <= 0:
            return
        batch = min(self._params.global_batch, len(self._inputs.train_index))
        batches = iter(self._open_loader())
        try:
            with (
                naming_dead_workers(),
                StopSignals() as signals,
                Progress("train", total=left * batch, unit="samples") as progress,
            ):
                progress.message(f"train: {self.padding_waste:.1%} of the label slots are padding")
                self._train_until_stopped(batches, signals, progress)
        finally:
            close_loader(batches)

    def _train_until_stopped(
        self, batches: Iterator[MicroBatch | LatexifyError], signals: StopSignals, progress: Progress
    ) -> None:
        while self.state.step < self._params.max_steps:
            result = self._train_batch(batches, progress)
            progress.advance(result.num_samples, note=self._note())
            if result.applied:
                self._after_step(progress)
            if signals.received and self.state.step < self._params.max_steps:
                path = self._save()
                raise LatexifyError(
                    f"stopped by {signals.received} after step {self.state.step} of {self._params.max_steps}; "
                    f"{path} is written: run the same command to go on"
                )

    def load_best(self) -> Best:
        """Put the best weights into the model; they are what is exported."""
        best = self.state.best
        assert best is not None, "the last step is always validated"
        self._inputs.loaded.model.load_state_dict(self._checkpoints.load_best(best.step))
        return best

    @cached_property
    def padding_waste(self) -> float:
        """Share of label slots, 0 to 1, that are padding in the first epoch's plan."""
        inputs = self._inputs
        first = plan(inputs.train_index, self._params, seed=inputs.seed, epoch=0, by_length=self._by_length)
        return first.waste(micro_batch=self._params.micro_batch)

    @property
    def _by_length(self) -> bool:
        return not has_batch_norm(self._inputs.loaded.model)

    def _open_loader(self) -> DataLoader[MicroBatch | LatexifyError]:
        return open_loader(
            self._inputs.train_index,
            self._params,
            seed=self._inputs.seed,
            start=self.state.position,
            pin_memory=self._inputs.precision.device.type == "cuda",
            by_length=self._by_length,
        )

    def _train_batch(self, batches: Iterator[MicroBatch | LatexifyError], progress: Progress) -> StepResult:
        """One global batch: train on it, move the plan on, count it."""
        state = self.state
        source = _GlobalBatch(batches)
        started = time.perf_counter()
        try:
            result = self._stepper.step(source, learning_rate=learning_rate(state.step, self._params))
        except NonFiniteError as error:
            raise self._report(source, str(error)) from None
        self._count_damage(source, progress)
        state.window.add(result, wait_s=source.wait_s, elapsed_s=time.perf_counter() - started)
        state.position = source.last.slice.next_position
        state.samples_seen += result.num_samples
        state.step += result.applied
        state.num_skipped = 0 if result.applied else state.num_skipped + 1
        if state.num_skipped > MAX_SKIPPED:
            raise self._report(source, f"{state.num_skipped} steps in a row overflowed in fp16")
        return result

    def _count_damage(self, source: "_GlobalBatch", progress: Progress) -> None:
        """Name the samples that were left out for the first time. Raises LatexifyError where they are too many."""
        known, num_samples = self.state.damaged, len(self._inputs.train_index)
        limit = int(self._params.max_damaged_rate * num_samples)
        for damage in source.damaged:
            if damage.row in known:
                continue
            known.append(damage.row)
            if len(known) > limit:
                raise LatexifyError(
                    f"{damage.reason}, or raise train.max_damaged_rate: "
                    f"it allows {limit} damaged of {num_samples} samples, this is number {len(known)}"
                )
            progress.message(f"train: left out ({len(known)} of at most {limit}): {damage.reason}")

    def _report(self, source: "_GlobalBatch", problem: str) -> LatexifyError:
        """Write down which samples the batch held, for whoever has to find the bad one."""
        step = self.state.step
        keys = [self._inputs.train_index.keys[int(row)].as_py() for row in source.last.slice.global_rows]
        path = self._inputs.folder / f"failed-step-{step:08d}.json"
        write_json(path, {"step": step, "problem": problem, "keys": keys})
        return LatexifyError(
            f"training failed at step {step}: {problem}; the keys of its batch are in {path}: "
            f"lower train.learning_rate, or set train.precision to bf16 or fp32"
        )

    def _after_step(self, progress: Progress) -> None:
        state, params = self.state, self._params
        is_last = state.step == params.max_steps
        improved = False
        if is_last or state.step % params.validate_steps == 0:
            validation = self._validator.validate(self._inputs.loaded)
            improved = self._keep_if_best(validation)
            self._add_row(validation)
            progress.message(
                f"step {state.step}: valid loss {validation.loss:.3f}, CER {validation.cer:.1%}"
                + (" (best)" if improved else "")
            )
        elif state.step % params.log_steps == 0:
            self._add_row(None)
        minutes = (time.monotonic() - self._saved_at_s) / 60
        is_due = state.step % params.checkpoint_steps == 0 or minutes >= params.checkpoint_minutes
        if is_last or improved or is_due:
            self._save()

    def _keep_if_best(self, validation: Validation) -> bool:
        best = self.state.best
        if best is not None and (best.valid_cer, best.valid_loss) <= (validation.cer, validation.loss):
            return False
        self.state.best = Best(step=self.state.step, valid_cer=validation.cer, valid_loss=validation.loss)
        self._checkpoints.save_best(self.state.step, self._inputs.loaded.model.state_dict())
        return True

    def _add_row(self, validation: Validation | None) -> None:
        """Close the window into a row. The file is written whole each time, so it never holds a row twice."""
        state = self.state
        row: Row = {
            "step": state.step,
            "epoch": state.position.epoch,
            "learning_rate": learning_rate(state.step - 1, self._params),
            "valid_loss": validation.loss if validation else None,
            "valid_cer": validation.cer if validation else None,
        }
        state.rows.append(row | state.window.row(seconds_before=state.seconds))
        state.seconds += state.window.elapsed_s
        state.window = Window()
        write_history(self._inputs.folder / HISTORY_NAME, state.rows)

    def _save(self) -> Path:
        self._saved_at_s = time.monotonic()
        tensors = {
            "model": self._inputs.loaded.model.state_dict(),
            "optimizer": self._stepper.optimizer.state_dict(),
            "scaler": self._stepper.scaler.state_dict(),
        }
        return self._checkpoints.save(self.state, tensors)

    def _note(self) -> str:
        last_loss = self.state.rows[-1]["train_loss"] if self.state.rows and not self.state.window.num_tokens else None
        loss = self.state.window.train_loss if last_loss is None else last_loss
        return f"step {self.state.step}, loss {loss:.3f}"


class _GlobalBatch:
    """The micro-batches of one global batch, and how long we waited for them. Raises what the loader found damaged."""

    last: MicroBatch

    def __init__(self, batches: Iterator[MicroBatch | LatexifyError]) -> None:
        self._batches = batches
        self.wait_s = 0.0
        self.damaged: list[Damage] = []

    def __iter__(self) -> Iterator[MicroBatch]:
        while True:
            started = time.perf_counter()
            batch = next(self._batches)
            self.wait_s += time.perf_counter() - started
            if isinstance(batch, LatexifyError):
                raise batch
            self.last = batch
            self.damaged += batch.damaged
            yield self.last
            if self.last.slice.is_last:
                return
