"""One optimizer step on a global batch: gradients of its micro-batches, unscale, clip, step, update."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from transformers import VisionEncoderDecoderModel

from latexify.trainer.config import TrainParams
from latexify.trainer.data.augment import Augmentation, change
from latexify.trainer.data.batches import MicroBatch
from latexify.trainer.data.copies import Copies, DeviceBatch
from latexify.trainer.data.directions import choose_reversed, reverse_labels
from latexify.trainer.data.label_parts import pad_to_few_shapes, split_labels
from latexify.trainer.data.specs import MicroBatchSpec
from latexify.trainer.loop.loss import TokenLoss
from latexify.trainer.loop.optim import WeightEma, make_optimizer, prepare, set_training
from latexify.trainer.loop.precision import Precision
from latexify.trainer.loop.ranks import SINGLE_RANK, Ranks
from latexify.trainer.model.attention import fuse_attention
from latexify.trainer.model.model import max_positions

T = TypeVar("T", bound=Callable[..., torch.Tensor])
CUDA_GRAPHS = "reduce-overhead"
"""The mode of torch.compile that records the kernels of a pass as a graph, which is started at once."""


class NonFiniteError(ArithmeticError):
    """The loss or the gradient of a batch is infinite or not a number."""


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """The result of a step."""

    loss_sum: float  # of the token losses (natural logarithm), label smoothing included
    num_tokens: int
    num_samples: int
    num_slots: int  # label positions, padding included
    grad_norm: float  # before clipping
    applied: bool  # False if fp16 gradients overflowed and the step was skipped


def seed_dropout(seed: int, spec: MicroBatchSpec) -> None:
    """Seed torch for one micro-batch, from its position in the plan.

    So dropout does not depend on the rank or on interruptions, and a checkpoint needs no generator state.
    """
    sequence = np.random.SeedSequence((seed, spec.position.epoch, spec.position.batch, spec.number))
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))


def compile_as(function: T, *, how: bool | str) -> T:
    """Compile a function as `train.compile` says; False leaves it as it is.

    Lengths and sizes of batches differ: without `dynamic` each would be compiled again, which takes minutes.
    """
    if not how:
        return function
    return torch.compile(function, dynamic=True, mode=how if isinstance(how, str) else None)  # type: ignore[return-value]


class Stepper:
    """Applies global batches to a model. Owns the optimizer, the EMA and, for fp16, the loss scaler.

    With several ranks, every rank must call :meth:`step` for every global batch.
    """

    def __init__(
        self,
        model: VisionEncoderDecoderModel,
        params: TrainParams,
        *,
        precision: Precision,
        seed: int,
        ranks: Ranks = SINGLE_RANK,
    ) -> None:
        self.model = model
        prepare(model, params)
        if precision.device.type == "cuda" or precision.name == "fp32":  # not measured in bfloat16 on a CPU
            fuse_attention(model)
        self.optimizer = make_optimizer(model, params)
        self.ema = WeightEma(model, decay=params.ema_decay)
        self.scaler = torch.amp.GradScaler(precision.device.type, enabled=precision.needs_scaler)
        self._ranks = ranks
        self._shared = self._ranks.wrap(TokenLoss(model, label_smoothing=params.label_smoothing))
        self._loss = compile_as(self._shared, how=params.compile)
        self._params, self._precision, self._seed = params, precision, seed
        compiled = compile_as(change, how=bool(params.compile))  # its few kernels need no graph
        self._augment = Augmentation(strength=params.augment_strength, seed=seed, function=compiled)
        self._copies = Copies(precision.device)

    def step(
        self,
        micro_batches: Sequence[MicroBatch],
        *,
        learning_rate: float,
        following: Callable[[], object] | None = None,
    ) -> StepResult:
        """Train on one global batch; the loss is the sum of its token losses divided by the number of its tokens.

        Neither micro-batches nor ranks change the loss. An overflow of fp16 gradients is not an error: the step is
        skipped and the scale lowered. Raises NonFiniteError on every rank, before the weights change.

        Args:
            micro_batches: Those of this rank, at least one; the result is that of all ranks.
            learning_rate: The learning rate.
            following: Returns the micro-batch after these; it is prepared while a GPU still computes.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate * group["lr_scale"]
        set_training(self.model, self._params)
        self._clear_gradients()
        loss_sum = torch.zeros((), device=self._precision.device)
        for number, micro in enumerate(micro_batches, start=1):
            # ranks exchange gradients once, with the last backward pass
            with self._exchange(is_last=number == len(micro_batches)):
                loss_sum += self._backward(micro)
            if number < len(micro_batches):
                self._copies.begin(micro_batches[number], self._prepare)
        labels = [micro.labels for micro in micro_batches]
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self._params.max_grad_norm)
        if following is not None and isinstance(upcoming := following(), MicroBatch):
            self._copies.begin(upcoming, self._prepare)
        # the one time in a step that a GPU is waited for
        own_loss, grad_norm = torch.stack([loss_sum, norm]).tolist()
        counts = [own_loss, sum(map(len, labels)), sum(part.numel() for part in labels)]
        total, num_samples, num_slots = self._ranks.sums(counts)
        return StepResult(
            loss_sum=total,
            num_tokens=micro_batches[0].spec.global_tokens,
            num_samples=int(num_samples),
            num_slots=int(num_slots),
            grad_norm=grad_norm,
            applied=self._apply(total, grad_norm),
        )

    def _clear_gradients(self) -> None:
        keep = self._params.compile == CUDA_GRAPHS
        if keep:
            # the next run of a graph overwrites the memory of its gradients, so they are added to tensors outside
            for weight in self.model.parameters():
                if weight.requires_grad and weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
        self.optimizer.zero_grad(set_to_none=not keep)

    def _backward(self, micro: MicroBatch) -> torch.Tensor:
        """Add the gradient of one micro-batch; return the sum of its token losses."""
        seed_dropout(self._seed, micro.spec)
        batch = self._copies.take(micro, self._prepare)
        pixels = self._augment(batch.pixels, batch.plan)
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with self._precision.autocast():
            loss: torch.Tensor = self._loss(pixels, batch.parts)
        # DDP averages gradients over ranks, and we want the sum
        scaled = loss * (self._ranks.world_size / micro.spec.global_tokens)
        self.scaler.scale(scaled).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _prepare(self, micro: MicroBatch) -> DeviceBatch:
        """Compute, on the CPU, what the forward pass takes."""
        labels, backward, spec = micro.labels, None, micro.spec
        if self._params.backward_fraction:
            fraction = self._params.backward_fraction
            backward = choose_reversed(spec.rows, fraction=fraction, seed=self._seed, visits=spec.visits)
            labels = reverse_labels(labels, backward)
        parts = split_labels(labels, backward)
        if self._params.compile:
            parts = pad_to_few_shapes(parts, max_length=max_positions(self.model))
        plan = self._augment.plan(micro.pixels, rows=spec.rows, visits=spec.visits)
        return DeviceBatch(pixels=micro.pixels, parts=parts, plan=plan)

    def _exchange(self, *, is_last: bool) -> contextlib.AbstractContextManager[object]:
        if is_last or not isinstance(self._shared, nn.parallel.DistributedDataParallel):
            return contextlib.nullcontext()
        return self._shared.no_sync()

    def _apply(self, loss_sum: float, grad_norm: float) -> bool:
        """Step and update with clipped gradients; return whether the weights changed."""
        if not math.isfinite(loss_sum):
            raise NonFiniteError(f"the loss is {loss_sum}")
        if not math.isfinite(grad_norm) and not self._precision.needs_scaler:
            raise NonFiniteError(f"the norm of the gradient is {grad_norm}")
        scale = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        applied = self.scaler.get_scale() >= scale
        if applied:
            self.ema.update()
        return applied
