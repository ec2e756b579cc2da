"""One optimizer step: micro-batches, scaled loss, unscale, clip, step, update; once per global batch."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import VisionEncoderDecoderModel

from trainer.augment import Augmentation
from trainer.batches import IGNORED, MicroBatch
from trainer.config import TrainParams
from trainer.model import model_input
from trainer.optimizer import freeze, make_optimizer, set_learning_rate, set_training
from trainer.precision import Precision
from trainer.slices import Position


class NonFiniteError(ArithmeticError):
    """The loss or the gradient of a batch is infinite or not a number."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What came of a global batch.

    loss_sum: sum of the token losses (natural logarithm), label smoothing included. num_slots: label positions,
    padding included. applied: False where fp16 gradients overflowed and the step was skipped.
    """

    loss_sum: float
    num_tokens: int
    num_samples: int
    num_slots: int
    grad_norm: float
    applied: bool


def token_loss(
    model: VisionEncoderDecoderModel, pixels: torch.Tensor, labels: torch.Tensor, *, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Sum of the cross-entropies of all label tokens, by teacher forcing; computed in float32: float32 [].

    pixels: uint8 [batch, height, width]. labels: int64 [batch, longest], padded with `IGNORED`, which costs nothing.
    We shift the labels and compute the loss ourselves: transformers' own shifts twice in versions 4.50 to 4.57, and
    averages each micro-batch by itself.
    """
    labels = labels.to(model.device, non_blocking=True)
    config = model.config
    start = labels.new_full((len(labels), 1), config.decoder_start_token_id)
    # padding stands behind the label, where the causal mask hides it from every position that counts
    previous = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, config.pad_token_id)
    logits = model(
        pixel_values=model_input(pixels, model), decoder_input_ids=torch.cat([start, previous], dim=1), use_cache=False
    ).logits
    return nn.functional.cross_entropy(
        logits.float().flatten(0, 1),
        labels.flatten(),
        ignore_index=IGNORED,
        reduction="sum",
        label_smoothing=label_smoothing,
    )


def seed_batch(seed: int, position: Position) -> None:
    """Seed torch for one global batch, from its place in the plan.

    So dropout is the same whenever and wherever the batch is trained on, and a checkpoint holds no generator's state.
    """
    sequence = np.random.SeedSequence((seed, position.epoch, position.batch))
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))


class Stepper:
    """Applies global batches to a model. Owns the optimizer and, for fp16, the loss scaler."""

    def __init__(
        self, model: VisionEncoderDecoderModel, params: TrainParams, *, precision: Precision, seed: int
    ) -> None:
        self.model = model
        freeze(model, params)
        self.optimizer = make_optimizer(model, params)
        self.scaler = torch.amp.GradScaler(precision.device.type, enabled=precision.needs_scaler)
        self._params, self._precision, self._seed = params, precision, seed
        self._augment = Augmentation(strength=params.augmentation, seed=seed)

    def step(self, micro_batches: Iterable[MicroBatch], *, learning_rate: float) -> StepResult:
        """Train on one global batch: the loss is its token losses ÷ all its tokens, however it is cut up.

        Raises NonFiniteError before the weights change. An overflow of fp16 gradients is no error: the step is skipped
        and the scale lowered.
        """
        set_learning_rate(self.optimizer, learning_rate)
        set_training(self.model, self._params)
        self.optimizer.zero_grad(set_to_none=True)
        loss_sum = torch.zeros((), device=self._precision.device)
        num_tokens = num_samples = num_slots = 0
        for micro in micro_batches:
            if num_samples == 0:
                seed_batch(self._seed, micro.slice.position)
            epoch, rows = micro.slice.position.epoch, micro.slice.rows
            pixels = micro.pixels.to(self._precision.device, non_blocking=True)
            pixels = self._augment(pixels, rows=rows, epoch=epoch)
            with self._precision.autocast():
                loss = token_loss(self.model, pixels, micro.labels, label_smoothing=self._params.label_smoothing)
            self.scaler.scale(loss / micro.slice.global_tokens).backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.detach()
            num_tokens = micro.slice.global_tokens
            num_samples += len(micro.labels)
            num_slots += micro.labels.numel()
        grad_norm, applied = self._apply(loss_sum.item())
        return StepResult(
            loss_sum=loss_sum.item(),
            num_tokens=num_tokens,
            num_samples=num_samples,
            num_slots=num_slots,
            grad_norm=grad_norm,
            applied=applied,
        )

    def _apply(self, loss_sum: float) -> tuple[float, bool]:
        """Unscale, clip, step and update; returns the norm before clipping and whether the weights changed."""
        if not math.isfinite(loss_sum):
            raise NonFiniteError(f"the loss is {loss_sum}")
        self.scaler.unscale_(self.optimizer)
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self._params.clip_norm))
        if not math.isfinite(norm) and not self._precision.needs_scaler:
            raise NonFiniteError(f"the norm of the gradient is {norm}")
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return norm, self.scaler.get_scale() >= scale
