"""The training loop: steps, validations, checkpoints; interruptible between any two steps, on any number of ranks."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from latexify.artifacts.manifest import Manifest
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.shards.format.index import SplitIndex
from latexify.trainer.config import TrainParams
from latexify.trainer.data.batches import MicroBatch, close_loader, naming_dead_workers, open_loader
from latexify.trainer.data.feed import GlobalBatch, next_batch
from latexify.trainer.data.slices import RankShare, plan
from latexify.trainer.loop.checkpoint import Best, CheckpointFolder, RunState
from latexify.trainer.loop.history import make_row
from latexify.trainer.loop.memory import naming_full_memory
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.reporting import Journal
from latexify.trainer.loop.resume import find_checkpoint
from latexify.trainer.loop.schedule import learning_rate
from latexify.trainer.loop.signals import StopSignals
from latexify.trainer.loop.step import NonFiniteError, Stepper, StepResult
from latexify.trainer.loop.validation import Validation, Validator
from latexify.trainer.model.model import LoadedModel, has_batch_norm

MAX_SKIPPED = 30
"""fp16 steps skipped in a row before we give up: by then the loss scale has fallen from 65,536 below 1e-4."""


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """What a run is made of. folder: where its checkpoints go; it belongs to this run alone, and all ranks see it.

    params: its `micro_batch` is a number. board: whether to write for TensorBoard as well.
    """

    params: TrainParams
    loaded: LoadedModel
    train_index: SplitIndex
    valid_index: SplitIndex
    precision: Precision
    seed: int
    manifest: Manifest
    folder: Path
    ranks: Ranks = field(default_factory=Ranks)
    board: bool = False


class Trainer:
    """Trains one run to its end, going on where its checkpoints stop. Every rank has one and calls the same methods."""

    def __init__(self, inputs: RunInputs) -> None:
        self.inputs, self._params, self._ranks = inputs, inputs.params, inputs.ranks
        self.stepper = Stepper(
            inputs.loaded.model, inputs.params, precision=inputs.precision, seed=inputs.seed, ranks=inputs.ranks
        )
        self._checkpoints = CheckpointFolder(inputs.folder, keep=inputs.params.keep_checkpoints)
        self.validator = Validator(
            inputs.valid_index,
            inputs.params,
            batch_size=inputs.params.micro_batch_size,
            seed=inputs.seed,
            precision=inputs.precision,
            ranks=inputs.ranks,
        )
        self.state = RunState()
        self._saved_at_s = time.monotonic()

    @property
    def trained(self) -> LoadedModel:
        """The model to validate and to export: the weights as they stand, or their average."""
        return replace(self.inputs.loaded, model=self.stepper.averaging.model)

    def resume(self) -> bool:
        """Load the latest checkpoint, if there is one, or the latest of `train.resume_from`; returns whether there was.

        Raises LatexifyError as :func:`latexify.trainer.loop.resume.find_checkpoint` does.
        """
        inputs = self.inputs
        found = find_checkpoint(
            self._checkpoints, self._params, manifest=inputs.manifest, folder=inputs.folder, ranks=self._ranks
        )
        if found is None:
            return False
        self.state = found[0]
        self._load(found[1])
        return True

    def _load(self, tensors: dict[str, Any]) -> None:
        self.inputs.loaded.model.load_state_dict(tensors["model"])
        self.stepper.optimizer.load_state_dict(tensors["optimizer"])
        self.stepper.averaging.load_state_dict(tensors["average"])
        self.stepper.scaler.load_state_dict(tensors["scaler"])

    def train(self) -> None:
        """Train to the end. Raises LatexifyError, after writing a checkpoint, where a signal asks to stop."""
        if self.state.finished:
            return
        batch = min(self._params.global_batch, len(self.inputs.train_index))
        total = (self._params.max_steps - self.state.step) * batch
        batches = iter(self.open_loader())
        try:
            with (
                naming_full_memory(self._params, device=self.inputs.precision.device),
                naming_dead_workers(),
                StopSignals() as signals,
                Progress("train", total=total, unit="samples", silent=not self._ranks.is_main) as progress,
            ):
                journal = Journal(self.inputs.folder, progress, ranks=self._ranks, board=self.inputs.board)
                precision = self.inputs.precision
                journal.say(
                    f"train: {precision.name} on {precision.device}; "
                    f"{self.padding_waste:.1%} of the label slots are padding"
                )
                self._train_until_done(batches, signals, journal)
        finally:
            close_loader(batches)

    def _train_until_done(
        self, batches: Iterator[MicroBatch | LatexifyError], signals: StopSignals, journal: Journal
    ) -> None:
        while not self.state.finished:
            batch = next_batch(
                batches, ranks=self._ranks, stop=signals.received is not None, overtime=self._is_overtime()
            )
            result = self._train_batch(batch, journal)
            journal.advance(result.num_samples, self.state)
            if result.applied:
                self._after_step(journal, is_last=batch.overtime or self.state.step == self._params.max_steps)
            if batch.stop and not self.state.finished:
                self._save()
                raise LatexifyError(
                    f"stopped by {signals.received or 'a signal'} after step {self.state.step} of "
                    f"{self._params.max_steps}; {self.inputs.folder} holds a checkpoint: run the same command to go on"
                )

    def _is_overtime(self) -> bool:
        hours = (self.state.seconds + self.state.window.elapsed_s) / 3600
        return self._params.max_hours is not None and hours >= self._params.max_hours

    def load_best(self) -> None:
        """Put the best weights into `trained`; they are what is exported. For the rank that wrote them."""
        assert self.state.best is not None, "the last step is always validated"
        self.trained.model.load_state_dict(self._checkpoints.load_best(self.state.best.step))

    @cached_property
    def padding_waste(self) -> float:
        """RankShare of label slots, 0 to 1, that are padding in the first epoch's plan."""
        inputs = self.inputs
        first = plan(inputs.train_index, self._params, seed=inputs.seed, epoch=0, by_length=self._by_length)
        return first.waste(micro_batch=self._params.micro_batch_size)

    @property
    def _by_length(self) -> bool:
        return not has_batch_norm(self.inputs.loaded.model)

    def open_loader(self) -> DataLoader[MicroBatch | LatexifyError]:
        """This rank's micro-batches from where the run stands; close what iterates over it with `close_loader`."""
        return open_loader(
            self.inputs.train_index,
            self._params,
            seed=self.inputs.seed,
            start=self.state.position,
            pin_memory=self.inputs.precision.device.type == "cuda",
            by_length=self._by_length,
            share=RankShare(rank=self._ranks.rank, world_size=self._ranks.world_size),
        )

    def _train_batch(self, batch: GlobalBatch, journal: Journal) -> StepResult:
        """Train on one global batch, move the plan on, count it."""
        state, index = self.state, self.inputs.train_index
        journal.count_damage(batch, state, index=index, max_rate=self._params.max_damaged_fraction)
        started = time.perf_counter()
        try:
            result = self.stepper.step(batch.micro_batches, learning_rate=learning_rate(state.step, self._params))
        except NonFiniteError as error:
            raise journal.failure(batch, str(error), index=index, step=state.step) from None
        elapsed_s = batch.wait_s + time.perf_counter() - started
        state.window.add(result, wait_s=batch.wait_s, elapsed_s=elapsed_s)
        state.position = batch.place.next_position
        state.samples_seen += result.num_samples
        state.step += result.applied
        state.num_skipped = 0 if result.applied else state.num_skipped + 1
        if state.num_skipped > MAX_SKIPPED:
            problem = f"{state.num_skipped} steps in a row overflowed in fp16"
            raise journal.failure(batch, problem, index=index, step=state.step)
        return result

    def _after_step(self, journal: Journal, *, is_last: bool) -> None:
        """Validate, log and save what is due. is_last: nothing follows this step in any case."""
        state, params = self.state, self._params
        improved = False
        if is_last or state.step % params.validate_steps == 0:
            validation = self.validator.validate(self.trained)
            improved = self._keep_if_best(validation)
            state.finished = is_last or 0 < params.early_stopping_patience <= state.num_stale
            self._add_row(validation)
            journal.write_rows(state)
            journal.show(validation, state, improved=improved)
        elif state.step % params.log_steps == 0:
            self._add_row(None)
            journal.write_rows(state)
        minutes = (time.monotonic() - self._saved_at_s) / 60
        is_due = state.step % params.checkpoint_steps == 0 or minutes >= params.checkpoint_minutes
        if state.finished or improved or is_due:
            self._save()

    def _keep_if_best(self, validation: Validation) -> bool:
        best = self.state.best
        if best is not None and (best.valid_cer, best.valid_loss) <= (validation.cer, validation.loss):
            self.state.num_stale += 1
            return False
        self.state.num_stale = 0
        self.state.best = Best(step=self.state.step, valid_cer=validation.cer, valid_loss=validation.loss)
        if self._ranks.is_main:
            self._checkpoints.save_best(self.state.step, self.trained.model.state_dict())
        return True

    def _add_row(self, validation: Validation | None) -> None:
        """Close the window into a row."""
        state = self.state
        row = make_row(
            state.window,
            step=state.step,
            epoch=state.position.epoch,
            learning_rate=learning_rate(state.step - 1, self._params),
            valid_loss=validation.loss if validation else None,
            valid_cer=validation.cer if validation else None,
            seconds_before=state.seconds,
            device=self.inputs.precision.device,
        )
        state.rows.append(row)
        state.seconds += state.window.elapsed_s
        state.window = type(state.window)()

    def _save(self) -> None:
        self._saved_at_s = time.monotonic()
        if not self._ranks.is_main:
            return
        tensors = {
            "model": self.inputs.loaded.model.state_dict(),
            "average": self.stepper.averaging.state_dict(),
            "optimizer": self.stepper.optimizer.state_dict(),
            "scaler": self.stepper.scaler.state_dict(),
        }
        self._checkpoints.save(self.state, tensors)
