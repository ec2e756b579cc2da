"""The optimizer side of a step: parameter groups, learning rate schedule, and moving average of the weights (EMA)."""

import copy
import math
import re
from collections import defaultdict
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from transformers import VisionEncoderDecoderModel

from latexify.trainer.config import TrainParams
from latexify.trainer.model.model import has_batch_norm

WSD_DECAY_FRACTION = 0.2
"""Fraction of all steps over which the schedule `wsd` (warm-up, stable, decay) falls to zero."""
EMA_WARMUP = 10
"""After n steps the decay of the EMA is at most (1 + n) / (10 + n), as in TensorFlow's `ExponentialMovingAverage`.
Otherwise the random first weights would stay in it for thousands of steps."""

_LAYER = re.compile(r"(?:encoder\.(?:encoder\.)?|decoder\.model\.decoder\.)layers?\.(\d+)\.")
_BOTTOM = re.compile(r"(?:encoder\.embeddings|decoder\.model\.decoder\.(?:embed_|layernorm_embedding))")


def freeze(model: VisionEncoderDecoderModel, params: TrainParams) -> None:
    """Exclude the parts that `params.freeze` names from training, and the encoder's pooler, which inference never uses.

    Distributed training would wait for the gradient of a weight that never gets one.
    """
    for name, parameter in model.named_parameters():
        if name.startswith("encoder.pooler."):
            parameter.requires_grad_(False)
    if "encoder" in params.freeze:
        model.encoder.requires_grad_(False)
    if "embeddings" in params.freeze:
        for table in (model.decoder.get_input_embeddings(), model.decoder.get_output_embeddings()):
            table.requires_grad_(False)


def prepare(model: VisionEncoderDecoderModel, params: TrainParams) -> None:
    """Prepare a model for its training: freeze parts of it, and switch on gradient checkpointing. May be repeated."""
    freeze(model, params)
    if params.gradient_checkpointing:
        # newer versions of transformers warn about the older name
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})


def set_training(model: VisionEncoderDecoderModel, params: TrainParams) -> None:
    """Switch dropout and batch norm statistics on, except in what is frozen."""
    model.train()
    if "encoder" in params.freeze:
        model.encoder.eval()
    if "batch_statistics" in params.freeze:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def learns_batch_statistics(model: VisionEncoderDecoderModel, params: TrainParams) -> bool:
    """Whether batches must be like all of the data, since training keeps statistics of them."""
    return has_batch_norm(model) and "batch_statistics" not in params.freeze


def make_optimizer(model: VisionEncoderDecoderModel, params: TrainParams) -> torch.optim.AdamW:
    """Make AdamW over all weights that train; `lr_scale` of a group is its fraction of the learning rate.

    Biases, norms and embeddings (of tokens and positions) do not decay. With `layerwise_lr_decay` below 1 the layers of
    each stack learn the more slowly the farther they are from its top (ULMFiT's discriminative rates; Clark et al.
    2020, ELECTRA, as a power of the depth). Token embeddings that are also the output learn at the full rate.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    scales = layer_scales(model, layerwise_lr_decay=params.layerwise_lr_decay)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        exempt = parameter.ndim < 2 or id(parameter) in embeddings or "position" in name or "_token" in name
        groups[scales[name], not exempt].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "weight_decay": params.weight_decay if decays else 0.0, "lr_scale": scale}
            for (scale, decays), members in sorted(groups.items(), key=lambda item: item[0], reverse=True)
        ],
        lr=params.learning_rate,
        betas=(0.9, params.beta2),
        fused=True,  # one kernel for all weights takes half the time, on a CPU too
    )


def layer_scales(model: VisionEncoderDecoderModel, *, layerwise_lr_decay: float) -> dict[str, float]:
    """Return each parameter's fraction of the learning rate: `layerwise_lr_decay` ** (number of layers above it)."""
    names = [name for name, _ in model.named_parameters()]
    tops = {
        stack: max((_depth(name) for name in names if name.startswith(stack)), default=0)
        for stack in ("encoder", "decoder")
    }
    output = model.decoder.get_output_embeddings().weight
    scales = {}
    for name, parameter in model.named_parameters():
        top = tops[name.partition(".")[0]] if "." in name else 0
        depth = top if parameter is output else _depth(name, top=top)
        scales[name] = layerwise_lr_decay ** (top - depth)
    return scales


def _depth(name: str, *, top: int = 0) -> int:
    """0 below the first layer, n in layer n counted from 1, `top` for all else: norms, head, bridge."""
    if _BOTTOM.match(name):
        return 0
    layer = _LAYER.match(name)
    return int(layer[1]) + 1 if layer else top


def learning_rate(step: int, params: TrainParams) -> float:
    """Return the learning rate of a step: a pure function, so that a checkpoint holds no schedule state.

    Steps count from 0, without skipped ones. The warm-up rises linearly and reaches the full rate at step
    `warmup_steps`; the first step already learns.
    """
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / (params.warmup_steps + 1)
    return params.learning_rate * _decay(step, params)


def _decay(step: int, params: TrainParams) -> float:
    """Fraction of the full rate after the warm-up, 1 to 0. It would be zero one step after the last."""
    if params.schedule == "cosine":
        after_warmup = max(params.max_steps - params.warmup_steps, 1)
        return 0.5 * (1 + math.cos(math.pi * (step - params.warmup_steps) / after_warmup))
    if params.schedule == "wsd":
        decay_steps = max(params.max_steps * WSD_DECAY_FRACTION, 1)
        return min(1.0, (params.max_steps - step) / decay_steps)
    return 1.0


class WeightEma:
    """The EMA of a model's weights and batch norm statistics; with a decay of 0, the model itself."""

    def __init__(self, model: VisionEncoderDecoderModel, *, decay: float) -> None:
        self._model, self._decay = model, decay
        self._averaged = None
        if decay > 0:
            self._averaged = AveragedModel(model, use_buffers=True)  # its count stays on the CPU
            self._averaged.requires_grad_(requires_grad=False)

    @property
    def model(self) -> VisionEncoderDecoderModel:
        """The model to validate and to export."""
        return self._model if self._averaged is None else self._averaged.module

    @torch.no_grad()
    def update(self) -> None:
        """Include the weights after a step: one call for all weights, and nothing that a GPU would be waited for."""
        if self._averaged is None:
            return
        num_steps = int(self._averaged.n_averaged)
        decay = min(self._decay, (1 + num_steps) / (EMA_WARMUP + num_steps))
        averages, currents = _tensors(self._averaged.module), _tensors(self._model)
        floats = [n for n, average in enumerate(averages) if average.is_floating_point()]
        if num_steps == 0:
            torch._foreach_copy_(averages, currents)  # as torch's own optimizers call it
        else:
            torch._foreach_lerp_([averages[n] for n in floats], [currents[n] for n in floats], 1 - decay)
            for n in set(range(len(averages))) - set(floats):  # the batch norms' number of batches
                averages[n].copy_(currents[n])
        self._averaged.n_averaged += 1

    def state_dict(self) -> dict[str, Any]:
        """Tensors for a checkpoint; empty if nothing is averaged."""
        return {} if self._averaged is None else self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state_dict`. With the state of a run without EMA, the average starts anew."""
        if self._averaged is not None and state:
            self._averaged.load_state_dict(copy.copy(state))


def _tensors(model: nn.Module) -> list[torch.Tensor]:
    """Return weights and buffers, in an order that is that of a copy, too."""
    return [*model.parameters(), *model.buffers()]
