"""The training loop: steps, validations and checkpoints, on any number of ranks; it can stop between any two steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from latexify.artifacts.manifest import Manifest
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.shards.format.index import SplitIndex
from latexify.shards.reading.mixture import Mixture
from latexify.trainer.config import TrainParams
from latexify.trainer.data.batches import GlobalBatch, MicroBatch, next_batch, open_loader
from latexify.trainer.data.copies import Peekable
from latexify.trainer.data.loader_processes import close_loader, explain_dead_workers
from latexify.trainer.data.specs import plan, samples_per_batch
from latexify.trainer.loop.checkpoint import Best, CheckpointFolder, RunState
from latexify.trainer.loop.disk import DiskNeed, disk_need, explain_full_disk, warn_of_short_disk
from latexify.trainer.loop.history import make_row
from latexify.trainer.loop.memory import explain_full_memory
from latexify.trainer.loop.optim import learning_rate, learns_batch_statistics
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.reporting import Reporter
from latexify.trainer.loop.resume import find_checkpoint
from latexify.trainer.loop.signals import StopSignals
from latexify.trainer.loop.step import NonFiniteError, Stepper, StepResult
from latexify.trainer.loop.validation import Validation, Validator, allowances_of, describe_search
from latexify.trainer.model.model import LoadedModel
from latexify.trainer.tracking.callback import RunFacts

Batches = Peekable[MicroBatch | LatexifyError]
MAX_SKIPPED = 30
"""fp16 steps that may be skipped in a row; after that many, the loss scale has fallen from 65,536 below 1e-4."""


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """What a run is made of."""

    params: TrainParams  # `micro_batch` is a number
    loaded: LoadedModel
    train_index: SplitIndex
    mixture: Mixture | None  # the weights of several datasets
    valid_index: SplitIndex
    precision: Precision
    seed: int
    manifest: Manifest  # of the model to export
    folder: Path  # where checkpoints go; it belongs to this run alone, and all ranks see it
    ranks: Ranks


class Trainer:
    """Trains one run to its end, from its latest checkpoint. Every rank has a trainer and calls the same methods."""

    def __init__(self, inputs: RunInputs) -> None:
        self.inputs, self._params, self._ranks = inputs, inputs.params, inputs.ranks
        self.stepper = Stepper(
            inputs.loaded.model, inputs.params, precision=inputs.precision, seed=inputs.seed, ranks=inputs.ranks
        )
        self._checkpoints = CheckpointFolder(inputs.folder, keep=inputs.params.keep_checkpoints)
        self.validator = Validator(
            inputs.valid_index, inputs.params, seed=inputs.seed, precision=inputs.precision, ranks=inputs.ranks
        )
        self.state = RunState(allowances=allowances_of(inputs.loaded))
        self.validator.keep_to(self.state.allowances, inputs.loaded)
        self._notices: list[str] = []
        self._saved_at_s = time.monotonic()

    @property
    def trained(self) -> LoadedModel:
        """The model to validate and to export: the current weights, or their EMA."""
        return replace(self.inputs.loaded, model=self.stepper.ema.model)

    @property
    def _parts(self) -> dict[str, Any]:
        """What a checkpoint holds besides the state, by the names there."""
        of = self.stepper
        return {"model": of.model, "average": of.ema, "optimizer": of.optimizer, "scaler": of.scaler}

    def resume(self) -> None:
        """Load the checkpoint that the run continues, if there is one; see :func:`find_checkpoint` for its errors."""
        loaded = find_checkpoint(self._checkpoints, self._params, manifest=self.inputs.manifest, ranks=self._ranks)
        if loaded is None:
            return
        self.state = loaded.state
        self.validator.keep_to(self.state.allowances, self.inputs.loaded)  # one run, one measure
        for name, tensors in loaded.tensors.items():  # none, if the run is finished
            self._parts[name].load_state_dict(tensors)
        if loaded.source is not None:
            self._notices.append(f"train: continuing {loaded.source} after step {self.state.step}")

    def train(self, *, curve: Path | None = None) -> None:
        """Train to the end. Raises LatexifyError, after writing a checkpoint, if a signal asks to stop.

        curve: CSV file that is kept equal to the history.
        """
        if self.state.finished:
            return
        batch = samples_per_batch(self.inputs.train_index, self._params, self.inputs.mixture)
        total = (self._params.max_steps - self.state.step) * batch
        batches = iter(self.open_loader())
        try:
            with (
                explain_full_memory(self._params, device=self.inputs.precision.device),
                explain_dead_workers(),
                StopSignals() as signals,
                Progress("train", total=total, unit="samples", silent=not self._ranks.is_main) as progress,
            ):
                reporter = Reporter(self._facts, progress, ranks=self._ranks, curve=curve)
                precision = self.inputs.precision
                reporter.log(
                    f"train: {precision.name} on {precision.device}; "
                    f"{self.padding_waste:.1%} of the label slots are padding"
                )
                self._notices.append(describe_search(self.state.allowances, self.inputs.loaded))
                if self._ranks.is_main:
                    self._notices.append(warn_of_short_disk(self.inputs.folder, self.disk_need))
                for notice in filter(None, self._notices):
                    reporter.log(notice)
                reporter.start(self._params, self.state)
                try:
                    self._train_until_done(Peekable(batches), signals, reporter)
                finally:
                    reporter.end(self.state)
        finally:
            close_loader(batches)

    @property
    def _facts(self) -> RunFacts:
        manifest = self.inputs.manifest
        return RunFacts(fingerprint=manifest.fingerprint, folder=self.inputs.folder, params=manifest.params)

    def _train_until_done(self, batches: Batches, signals: StopSignals, reporter: Reporter) -> None:
        while not self.state.finished:
            batch = next_batch(
                batches,
                ranks=self._ranks,
                stop=signals.received is not None,
                time_limit_reached=self._time_limit_reached(),
            )
            result = self._train_batch(batch, batches, reporter)
            reporter.advance(result.num_samples, self.state)
            if result.applied:
                self._after_step(
                    reporter, is_last=batch.time_limit_reached or self.state.step == self._params.max_steps
                )
            if batch.stop and not self.state.finished:
                self._save(reporter)
                raise LatexifyError(
                    f"stopped by {signals.received or 'a signal'} after step {self.state.step} of "
                    f"{self._params.max_steps}; {self.inputs.folder} holds a checkpoint: "
                    "run the same command to continue"
                )

    def _time_limit_reached(self) -> bool:
        hours = (self.state.seconds + self.state.window.elapsed_s) / 3600
        return self._params.max_hours is not None and hours >= self._params.max_hours

    def load_best(self) -> None:
        """Load the best weights into `trained`, for the export. For the rank that wrote them."""
        assert self.state.best is not None, "the last step is always validated"
        self.trained.model.load_state_dict(self._checkpoints.load_best(self.state.best.step))

    def finish(self) -> None:
        """Keep of a finished run what exporting and continuing it need."""
        with self._writing():
            if self._ranks.is_main:
                self._checkpoints.finish(self.state)

    @property
    def disk_need(self) -> DiskNeed:
        """The room that checkpoints take."""
        return disk_need(self.stepper, num_kept=self._params.keep_checkpoints)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Raise one clear error, on every rank, if rank 0 finds the disk full."""
        with self._ranks.share_errors(), explain_full_disk(self._checkpoints):
            yield

    @cached_property
    def padding_waste(self) -> float:
        """Fraction of label slots that are padding in the first epoch's plan."""
        inputs = self.inputs
        first = plan(
            inputs.train_index,
            self._params,
            seed=inputs.seed,
            epoch=0,
            by_length=self._by_length,
            mixture=inputs.mixture,
        )
        return first.batches.waste(micro_batch=self._params.micro_batch_size)

    @property
    def _by_length(self) -> bool:
        return not learns_batch_statistics(self.inputs.loaded.model, self._params)

    def open_loader(self) -> DataLoader[MicroBatch | LatexifyError]:
        """Open this rank's micro-batches from the current position; end iterators over it with `close_loader`."""
        return open_loader(
            self.inputs.train_index,
            self._params,
            seed=self.inputs.seed,
            start=self.state.position,
            pin_memory=self.inputs.precision.device.type == "cuda",
            by_length=self._by_length,
            ranks=self._ranks,
            mixture=self.inputs.mixture,
        )

    def _train_batch(self, batch: GlobalBatch, batches: Batches, reporter: Reporter) -> StepResult:
        """Train on one global batch, count it, and move to the next position. batches: those that follow."""
        state, index = self.state, self.inputs.train_index
        reporter.count_damage(batch, state, index=index, max_fraction=self._params.max_damaged_fraction)
        started, waited_s = time.perf_counter(), batches.waited_s
        rate = learning_rate(state.step, self._params)
        try:
            result = self.stepper.step(batch.micro_batches, learning_rate=rate, following=batches.peek)
        except NonFiniteError as error:
            raise reporter.failure(batch, str(error), index=index, step=state.step) from None
        elapsed_s = batch.wait_s + time.perf_counter() - started
        state.window.add(result, wait_s=batch.wait_s + batches.waited_s - waited_s, elapsed_s=elapsed_s)
        state.position = batch.spec.next_position
        state.samples_seen += result.num_samples
        state.step += result.applied
        state.num_skipped = 0 if result.applied else state.num_skipped + 1
        if result.applied:
            reporter.tell_step(state, result, learning_rate=rate)
        if state.num_skipped > MAX_SKIPPED:
            problem = f"{state.num_skipped} steps in a row overflowed in fp16"
            raise reporter.failure(batch, problem, index=index, step=state.step)
        return result

    def _after_step(self, reporter: Reporter, *, is_last: bool) -> None:
        """Validate, log and save if it is due. is_last: no step follows."""
        state, params = self.state, self._params
        improved = False
        if is_last or state.step % params.validate_steps == 0:
            validation = self.validator.validate(self.trained)
            improved = self._keep_if_best(validation)
            state.finished = is_last or 0 < params.early_stopping_patience <= state.num_stale
            self._add_row(validation)
            self._write_rows(reporter)
            reporter.log_validation(validation, state, improved=improved)
        elif state.step % params.log_steps == 0:
            self._add_row(None)
            self._write_rows(reporter)
        minutes = (time.monotonic() - self._saved_at_s) / 60
        is_due = state.step % params.checkpoint_steps == 0 or minutes >= params.checkpoint_minutes
        if state.finished or improved or is_due:
            self._save(reporter)

    def _keep_if_best(self, validation: Validation) -> bool:
        best = self.state.best
        if best is not None and (best.valid_cer, best.valid_loss) <= (validation.cer, validation.loss):
            self.state.num_stale += 1
            return False
        self.state.num_stale = 0
        self.state.best = Best(step=self.state.step, valid_cer=validation.cer, valid_loss=validation.loss)
        with self._writing():
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

    def _save(self, reporter: Reporter) -> None:
        self._saved_at_s = time.monotonic()
        with self._writing():
            if self._ranks.is_main:
                tensors = {name: part.state_dict() for name, part in self._parts.items()}
                reporter.tell_checkpoint(self.state, self._checkpoints.save(self.state, tensors))

    def _write_rows(self, reporter: Reporter) -> None:
        with self._writing():
            reporter.write_rows(self.state)
