"""The encoders that we train, from their weights: ViT and DeiT, and a residual network with ViT layers (hybrid DPT).

Batch norms are folded into the convolutions before them, and the three equal channels of a grey picture into one.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from latexify.trainer.inference.decoder import ACTIVATIONS
from latexify.trainer.inference.layers import Convolution, Linear, Norm, Weights
from latexify.trainer.model.positions import middle, pair

BATCH_NORM_EPSILON = 1e-5
"""The default of torch, which transformers' ResNet keeps."""


Encoder = Callable[[torch.Tensor], torch.Tensor]
"""Encodes grey pictures, float32 [batch, 1, height, width], ink -1, paper +1, as float32 [batch, patches, size]."""


def make_encoder(config: Mapping[str, Any], weights: Weights, *, packed: bool = True) -> Encoder | None:
    """Make an encoder; None if it is of another kind, which transformers can run.

    Args:
        config: Section `encoder` of a model's config.json.
        weights: Float32, by their names below `encoder.`.
        packed: Let oneDNN pack the weights where that is faster. Packed layers cannot be exported.
    """
    if config["hidden_act"] not in ACTIVATIONS:
        return None
    if config["model_type"] in {"vit", "deit"}:
        return _Transformer(config, weights, embed=_Patches(config, weights, packed=packed), packed=packed)
    if config["model_type"] == "dpt" and config["is_hybrid"] and _is_plain_resnet(config["backbone_config"]):
        return _Transformer(config, weights, embed=_Hybrid(config, weights, packed=packed), packed=packed)
    return None


def _is_plain_resnet(backbone: Mapping[str, Any]) -> bool:
    return (
        backbone["model_type"] == "resnet"
        and backbone["layer_type"] == "basic"
        and backbone["hidden_act"] == "relu"
        and not backbone["downsample_in_first_stage"]
        and backbone["out_features"][-1] == f"stage{len(backbone['depths'])}"
    )


class _Transformer:
    """Transformer layers with the norm before each part, as in ViT."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, *, embed: Encoder, packed: bool) -> None:
        self._embed = embed
        names = [f"encoder.layer.{number}" for number in range(config["num_hidden_layers"])]
        self._layers = [_Layer(config, weights, name, packed=packed) for name in names]
        self._last_norm = Norm(weights, "layernorm", epsilon=float(config["layer_norm_eps"]))

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        hidden = self._embed(grey)
        for layer in self._layers:
            hidden = layer(hidden)
        return self._last_norm(hidden)


class _Layer:
    def __init__(self, config: Mapping[str, Any], weights: Weights, name: str, *, packed: bool) -> None:
        self._heads, epsilon = int(config["num_attention_heads"]), float(config["layer_norm_eps"])
        self._activation = ACTIVATIONS[config["hidden_act"]]
        load = partial(Linear.load, weights, packed=packed)
        inner = f"{name}.attention.attention"
        self._attention_norm = Norm(weights, f"{name}.layernorm_before", epsilon=epsilon)
        self._query_key_value = load(f"{inner}.query", f"{inner}.key", f"{inner}.value")
        self._out = load(f"{name}.attention.output.dense")
        self._mlp_norm = Norm(weights, f"{name}.layernorm_after", epsilon=epsilon)
        self._fc1, self._fc2 = load(f"{name}.intermediate.dense"), load(f"{name}.output.dense")

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        batch, patches = hidden.shape[:2]
        entry = self._query_key_value(self._attention_norm(hidden)).view(batch, patches, 3, self._heads, -1)
        query, key, value = entry.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        hidden = hidden + self._out(attended.transpose(1, 2).flatten(2))
        return hidden + self._fc2(self._activation(self._fc1(self._mlp_norm(hidden))))


class _Positions:
    """Put special tokens before the patches, and add a position to each.

    Pictures smaller than the canvas have the positions of its middle, as in `latexify.trainer.model.sizes`.
    """

    def __init__(self, special: torch.Tensor, positions: torch.Tensor, *, columns: int) -> None:
        num_special = special.shape[1]  # [1, specials, size]; positions: [1, specials + rows * columns, size]
        self._special = special + positions[:, :num_special]
        grid = positions[0, num_special:].reshape(-1, columns, positions.shape[2])
        self._positions = grid.permute(2, 0, 1).contiguous()  # [size, rows, columns]

    def __call__(self, patches: torch.Tensor) -> torch.Tensor:
        """patches: [batch, size, rows, columns]; returns [batch, specials + rows * columns, size]."""
        sequence = (patches + middle(self._positions, *patches.shape[-2:])).flatten(2).transpose(1, 2)
        return torch.cat([self._special.expand(sequence.shape[0], -1, -1), sequence], dim=1)


class _Patches:
    """A linear projection of each patch, as in ViT; DeiT has a second special token."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, *, packed: bool) -> None:
        names = ("embeddings.cls_token", "embeddings.distillation_token")
        special = torch.cat([weights[name] for name in names if name in weights], dim=1)
        name = "embeddings.patch_embeddings.projection"
        weight = weights[f"{name}.weight"]
        columns = pair(config["image_size"])[1] // weight.shape[3]
        self._add_positions = _Positions(special, weights["embeddings.position_embeddings"], columns=columns)
        self._project = Convolution(
            weight.sum(dim=1, keepdim=True), weights.get(f"{name}.bias"), stride=weight.shape[2:], packed=packed
        )

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        return self._add_positions(self._project(grey))


class _Hybrid:
    """A residual network that halves the picture twice in its stem and once at every stage but the first."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, *, packed: bool) -> None:
        stem, stages = "embeddings.backbone.embedder.embedder", "embeddings.backbone.encoder.stages"
        self._stem = _fold_batch_norm(weights, stem, stride=2, is_grey=True, packed=packed)
        self._blocks = [
            _Block(weights, f"{stages}.{stage}.layers.{number}", stride=2 if stage and not number else 1, packed=packed)
            for stage, depth in enumerate(config["backbone_config"]["depths"])
            for number in range(depth)
        ]
        projection = "embeddings.projection"
        self._project = Convolution(weights[f"{projection}.weight"], weights.get(f"{projection}.bias"), packed=packed)
        rows, columns = config["backbone_featmap_shape"][-2:]
        positions = _resize_positions(weights["embeddings.position_embeddings"], rows=rows, columns=columns)
        self._add_positions = _Positions(weights["embeddings.cls_token"], positions, columns=columns)

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        hidden = functional.max_pool2d(self._stem.relu(grey), kernel_size=3, stride=2, padding=1)
        for block in self._blocks:
            hidden = block(hidden)
        return self._add_positions(self._project(hidden))


def _fold_batch_norm(weights: Weights, name: str, *, stride: int, packed: bool, is_grey: bool = False) -> Convolution:
    """Fold a convolution without bias and the batch norm after it into one, padded so that only the stride resizes.

    is_grey: All input channels are equal, and only one of them is given.
    """
    mean, variance = weights[f"{name}.normalization.running_mean"], weights[f"{name}.normalization.running_var"]
    scale = weights[f"{name}.normalization.weight"] / (variance + BATCH_NORM_EPSILON).sqrt()
    weight = weights[f"{name}.convolution.weight"] * scale[:, None, None, None]
    return Convolution(
        weight.sum(dim=1, keepdim=True) if is_grey else weight,
        weights[f"{name}.normalization.bias"] - mean * scale,
        stride=(stride, stride),
        padding=(weight.shape[-2] // 2, weight.shape[-1] // 2),
        packed=packed,
    )


class _Block:
    """Two convolutions and a shortcut, which is a convolution where size or channels change."""

    def __init__(self, weights: Weights, name: str, *, stride: int, packed: bool) -> None:
        self._first = _fold_batch_norm(weights, f"{name}.layer.0", stride=stride, packed=packed)
        self._second = _fold_batch_norm(weights, f"{name}.layer.1", stride=1, packed=packed)
        self._shortcut = None
        if f"{name}.shortcut.convolution.weight" in weights:
            self._shortcut = _fold_batch_norm(weights, f"{name}.shortcut", stride=stride, packed=packed)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        residual = hidden if self._shortcut is None else self._shortcut(hidden)
        return self._second.relu(self._first.relu(hidden), residual=residual)


def _resize_positions(positions: torch.Tensor, *, rows: int, columns: int) -> torch.Tensor:
    """Resize the square of positions that transformers' DPT stores, as DPT does in every forward pass."""
    square = positions[0, 1:]
    side = round(len(square) ** 0.5)
    grid = square.view(1, side, side, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(rows, columns), mode="bilinear")
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
