"""``train --dry-run``: what a training would do, and the time and memory it would take, from a few measured steps."""

import time
from dataclasses import dataclass

from latexify.common.errors import LatexifyError
from latexify.shards.reading.mixture import Mixture
from latexify.trainer.data.batches import next_batch
from latexify.trainer.data.copies import Peekable
from latexify.trainer.data.loader_processes import close_loader
from latexify.trainer.data.specs import samples_per_batch
from latexify.trainer.loop.disk import mib
from latexify.trainer.loop.history import peak_bytes
from latexify.trainer.loop.loop import Trainer
from latexify.trainer.loop.memory import explain_full_memory
from latexify.trainer.loop.optim import learning_rate

WARMUP_STEPS = 1
"""Steps that are not measured: the first one allocates memory, opens files and may compile."""


@dataclass(frozen=True, kw_only=True)
class _Measurement:
    num_steps: int
    step_s: float  # seconds per step, waiting for data included
    wait_share: float  # the fraction spent waiting
    validation_s: float
    peak_bytes: int


def dry_run(trainer: Trainer, *, num_steps: int = 5) -> str:
    """Measure `num_steps` steps and describe what the train stage would do, its time and its memory. Writes nothing.

    The trainer cannot be used afterwards. Raises LatexifyError if the stage would, or if the run is finished.
    """
    trainer.resume()
    if trainer.state.finished:
        raise LatexifyError(
            f"{trainer.inputs.folder} is finished (step {trainer.state.step}): nothing is left to train; "
            "raise train.max_steps, and set train.resume_from to continue from it"
        )
    with explain_full_memory(trainer.inputs.params, device=trainer.inputs.precision.device):
        measured = _measure_steps(trainer, num_steps=num_steps)
    return _format_plan(trainer, measured)


def _measure_steps(trainer: Trainer, *, num_steps: int) -> _Measurement:
    """Train a few steps in memory and validate once."""
    loader = iter(trainer.open_loader())
    batches = Peekable(loader)
    try:
        elapsed_s = waited_s = 0.0
        for step in range(WARMUP_STEPS + num_steps):
            started, waited_before_s = time.perf_counter(), batches.waited_s
            batch = next_batch(batches, ranks=trainer.inputs.ranks, stop=False, time_limit_reached=False)
            rate = learning_rate(trainer.state.step, trainer.inputs.params)
            trainer.stepper.step(batch.micro_batches, learning_rate=rate, following=batches.peek)
            if step >= WARMUP_STEPS:
                elapsed_s += time.perf_counter() - started
                waited_s += batches.waited_s - waited_before_s
    finally:
        close_loader(loader)
    started = time.perf_counter()
    trainer.validator.validate(trainer.trained)
    return _Measurement(
        num_steps=num_steps,
        step_s=elapsed_s / num_steps,
        wait_share=waited_s / elapsed_s,
        validation_s=time.perf_counter() - started,
        peak_bytes=peak_bytes(trainer.inputs.precision.device),
    )


def _format_plan(trainer: Trainer, measured: _Measurement) -> str:
    """Format the plan and the measurements as a table for people."""
    inputs, params, state = trainer.inputs, trainer.inputs.params, trainer.state
    model = trainer.trained.model
    batch = samples_per_batch(inputs.train_index, params, inputs.mixture)
    remaining = params.max_steps - state.step
    total_s = remaining * measured.step_s + remaining // params.validate_steps * measured.validation_s
    steps_per_epoch = (len(inputs.train_index) if inputs.mixture is None else inputs.mixture.smallest_epoch) // batch
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    need = trainer.disk_need
    processes = "one process" if inputs.ranks.world_size == 1 else f"{inputs.ranks.world_size} ranks"
    lines = {
        "run": f"{inputs.folder} ({'from the beginning' if state.step == 0 else f'continues after step {state.step}'})",
        "model": f"{model.num_parameters():,} parameters, {trained:,} of them trained",
        "data": f"{len(inputs.train_index):,} training inks{_mixture(inputs.mixture)}, "
        f"{len(inputs.valid_index):,} for validation, "
        f"{inputs.loaded.height_px} x {inputs.loaded.width_px} px",
        "steps": f"{remaining:,} of {params.max_steps:,}, {batch} inks each: "
        f"{params.max_steps / steps_per_epoch:.1f} epochs of {steps_per_epoch:,} steps",
        "a step": f"micro-batches of {params.micro_batch_size} on {processes}, {inputs.precision.name} on "
        f"{inputs.precision.device}; {trainer.padding_waste:.1%} of the label slots are padding",
        "speed": f"{measured.step_s:.3f} s a step, {batch / measured.step_s:.1f} inks/s, "
        f"{measured.wait_share:.1%} of it waiting for data ({measured.num_steps} steps measured)",
        "validation": f"{measured.validation_s:.1f} s, every {params.validate_steps} steps",
        "memory": f"{measured.peak_bytes / 2**20:,.0f} MiB at most",
        "disk": f"{mib(need.checkpoint)} a checkpoint, {need.num_kept} kept; with best models at most {mib(need.peak)}",
        "time": f"about {_duration(total_s)}",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def _mixture(mixture: Mixture | None) -> str:
    """Say how often the samples of each of several datasets come in an epoch."""
    if mixture is None:
        return ""
    parts = [f"{name} {size:,} x {float(mixture.weights[name]):g}" for name, size in mixture.sizes.items()]
    return f" (in an epoch {' + '.join(parts)})"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
