"""An exponential moving average of the weights: what is validated and exported where `train.ema_decay` asks for it."""

import copy
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel
from transformers import VisionEncoderDecoderModel

WARMUP = 10
"""The average begins with short memory: after n steps its decay is at most (1 + n) / (10 + n), as TensorFlow's
`ExponentialMovingAverage` has it. Else the random first weights would stay in it for thousands of steps."""


class Averaging:
    """Keeps the average of a model's weights and batch norm statistics; with a decay of 0 the model itself."""

    def __init__(self, model: VisionEncoderDecoderModel, *, decay: float) -> None:
        self._model, self._decay = model, decay
        self._averaged = None
        if decay > 0:
            self._averaged = AveragedModel(model, multi_avg_fn=self._average, use_buffers=True)
            self._averaged.requires_grad_(requires_grad=False)

    @property
    def model(self) -> VisionEncoderDecoderModel:
        """The model to validate and to export."""
        return self._model if self._averaged is None else self._averaged.module

    def update(self) -> None:
        """Take in the weights after a step."""
        if self._averaged is not None:
            self._averaged.update_parameters(self._model)

    def state_dict(self) -> dict[str, Any]:
        """Tensors for a checkpoint; empty where nothing is averaged."""
        return {} if self._averaged is None else self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state_dict`; of a run that had no average, the average begins anew."""
        if self._averaged is not None and state:
            self._averaged.load_state_dict(copy.copy(state))

    @torch.no_grad()
    def _average(self, averaged: Any, current: Any, num_averaged: Any) -> None:
        """Move `averaged` towards `current`, both lists of tensors of one type."""
        if not averaged[0].is_floating_point():  # the batch norms' count of batches
            torch._foreach_copy_(averaged, current)  # as torch's own averages do
            return
        num_steps = int(num_averaged)
        decay = min(self._decay, (1 + num_steps) / (WARMUP + num_steps))
        torch._foreach_lerp_(averaged, current, 1 - decay)
