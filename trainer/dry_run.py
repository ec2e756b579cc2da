"""What a training would do, without doing it: a few measured steps, and the arithmetic that follows from them."""

import time
from dataclasses import dataclass

from latexify.common.errors import LatexifyError
from latexify.trainer.data.batches import close_loader
from latexify.trainer.data.feed import next_batch
from latexify.trainer.loop.history import peak_bytes
from latexify.trainer.loop.loop import Trainer
from latexify.trainer.loop.ranks import Ranks
from latexify.trainer.loop.schedule import learning_rate

WARMUP_STEPS = 1
"""Not counted: the first step allocates memory, opens files and, where asked to, compiles."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What was measured. step_s: seconds per step, waiting for data included. wait_share: of it, 0 to 1."""

    num_steps: int
    step_s: float
    wait_share: float
    validation_s: float
    peak_bytes: int


def rehearse(trainer: Trainer, *, num_steps: int) -> Rehearsal:
    """Train a few steps in memory and validate once; nothing is written. The trainer is of no use afterwards."""
    batches = iter(trainer.open_loader())
    try:
        elapsed_s = wait_s = 0.0
        for step in range(WARMUP_STEPS + num_steps):
            started = time.perf_counter()
            batch = next_batch(batches, ranks=trainer.inputs.ranks, stop=False, overtime=False)
            rate = learning_rate(trainer.state.step, trainer.inputs.params)
            trainer.stepper.step(batch.micro_batches, learning_rate=rate)
            if step >= WARMUP_STEPS:
                elapsed_s += time.perf_counter() - started
                wait_s += batch.wait_s
    finally:
        close_loader(batches)
    started = time.perf_counter()
    trainer.validator.validate(trainer.trained)
    return Rehearsal(
        num_steps=num_steps,
        step_s=elapsed_s / num_steps,
        wait_share=wait_s / elapsed_s,
        validation_s=time.perf_counter() - started,
        peak_bytes=peak_bytes(trainer.inputs.precision.device),
    )


def describe(trainer: Trainer, measured: Rehearsal) -> str:
    """The plan and the measurements, for people."""
    inputs, params, state = trainer.inputs, trainer.inputs.params, trainer.state
    model = trainer.trained.model
    batch = min(params.global_batch, len(inputs.train_index))
    left = params.max_steps - state.step
    total_s = left * measured.step_s + left // params.validate_steps * measured.validation_s
    steps_per_epoch = len(inputs.train_index) // batch
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    checkpoint_mib = (model.num_parameters() * (2 if params.ema_decay else 1) + 2 * trained) * 4 / 2**20
    lines = {
        "run": f"{inputs.folder} ({'from the beginning' if state.step == 0 else f'goes on after step {state.step}'})",
        "model": f"{model.num_parameters():,} parameters, {trained:,} of them trained",
        "data": f"{len(inputs.train_index):,} training inks, {len(inputs.valid_index):,} for validation, "
        f"{inputs.loaded.height_px} x {inputs.loaded.width_px} px",
        "steps": f"{left:,} of {params.max_steps:,}, {batch} inks each: "
        f"{params.max_steps / steps_per_epoch:.1f} epochs of {steps_per_epoch:,} steps",
        "a step": f"micro-batches of {params.micro_batch_size} on {_name(inputs.ranks)}, {inputs.precision.name} on "
        f"{inputs.precision.device}; {trainer.padding_waste:.1%} of the label slots are padding",
        "speed": f"{measured.step_s:.3f} s a step, {batch / measured.step_s:.1f} inks/s, "
        f"{measured.wait_share:.1%} of it waiting for data ({measured.num_steps} steps measured)",
        "validation": f"{measured.validation_s:.1f} s, every {params.validate_steps} steps",
        "memory": f"{measured.peak_bytes / 2**20:,.0f} MiB at the most",
        "disk": f"{checkpoint_mib:,.0f} MiB a checkpoint, {params.keep_checkpoints} kept, and the best model",
        "time": f"about {_duration(total_s)}",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def _name(ranks: Ranks) -> str:
    return "one process" if ranks.world_size == 1 else f"{ranks.world_size} ranks"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def require_unfinished(trainer: Trainer) -> None:
    """Raise LatexifyError where there is nothing to rehearse."""
    if trainer.state.finished:
        raise LatexifyError(
            f"{trainer.inputs.folder} is finished (step {trainer.state.step}): nothing is left to train; "
            "raise train.max_steps, with train.resume_from to go on from it"
        )
