"""The optimizer: which weights learn, how fast, and which of them decay."""

import re
from collections import defaultdict

import torch
from torch import nn
from transformers import VisionEncoderDecoderModel

from latexify.trainer.config import TrainParams

BETA1 = 0.9

_STACKS = ("encoder", "decoder")
_LAYER = re.compile(r"(?:encoder\.(?:encoder\.)?|decoder\.model\.decoder\.)layers?\.(\d+)\.")
_BOTTOM = re.compile(r"(?:encoder\.embeddings|decoder\.model\.decoder\.(?:embed_|layernorm_embedding))")


def freeze(model: VisionEncoderDecoderModel, params: TrainParams) -> None:
    """Take the parts that `params.freeze` names out of training, and the encoder's pooler, which has no say in reading.

    A weight that never gets a gradient would make distributed training wait for it.
    """
    for name, parameter in model.named_parameters():
        if name.startswith("encoder.pooler."):
            parameter.requires_grad_(False)
    if "encoder" in params.freeze:
        model.encoder.requires_grad_(False)
    if "embeddings" in params.freeze:
        for table in (model.decoder.get_input_embeddings(), model.decoder.get_output_embeddings()):
            table.requires_grad_(False)


def set_training(model: VisionEncoderDecoderModel, params: TrainParams) -> None:
    """Switch dropout and the statistics of batch norms on, save in a frozen encoder: it stays as it was trained."""
    model.train()
    if "encoder" in params.freeze:
        model.encoder.eval()


def make_optimizer(model: VisionEncoderDecoderModel, params: TrainParams) -> torch.optim.AdamW:
    """AdamW over what is to be trained; its groups carry `lr_scale`, their share of the learning rate.

    Biases, norms and embeddings (of tokens and positions) do not decay. With `layerwise_lr_decay` below 1 the layers of each
    stack learn the more slowly the farther they are from its top (ULMFiT's discriminative rates; Clark et al. 2020,
    ELECTRA, as a power of the depth). The token embeddings learn at the full rate where they are the output's too.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = defaultdict(list)
    exempt = _embeddings(model)
    scales = layer_scales(model, layerwise_lr_decay=params.layerwise_lr_decay)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        decays = not (parameter.ndim < 2 or id(parameter) in exempt or "position" in name or "_token" in name)
        groups[scales[name], decays].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": members, "weight_decay": params.weight_decay if decays else 0.0, "lr_scale": scale}
            for (scale, decays), members in sorted(groups.items(), key=lambda item: item[0], reverse=True)
        ],
        lr=params.learning_rate,
        betas=(BETA1, params.beta2),
        fused=True,  # one kernel for all weights: half the time, on a CPU too
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Give every group its share of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["lr_scale"]


def layer_scales(model: VisionEncoderDecoderModel, *, layerwise_lr_decay: float) -> dict[str, float]:
    """RankShare of the learning rate of each parameter, by name: `layerwise_lr_decay` to the power of layers above it."""
    names = [name for name, _ in model.named_parameters()]
    tops = {stack: max((_depth(name) for name in names if name.startswith(stack)), default=0) for stack in _STACKS}
    output = model.decoder.get_output_embeddings().weight
    scales = {}
    for name, parameter in model.named_parameters():
        top = tops[name.partition(".")[0]] if "." in name else 0
        depth = top if parameter is output else _depth(name, top=top)
        scales[name] = layerwise_lr_decay ** (top - depth)
    return scales


def _depth(name: str, *, top: int = 0) -> int:
    """0 for what is below the first layer, n for layer n counted from 1, `top` for all else: norms, head, bridge."""
    if _BOTTOM.match(name):
        return 0
    layer = _LAYER.match(name)
    return int(layer[1]) + 1 if layer else top


def _embeddings(model: nn.Module) -> set[int]:
    return {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
