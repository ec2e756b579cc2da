"""The encoders that we train, from their weights: ViT and DeiT, and the residual network with ViT layers (hybrid DPT).

Batch norms are folded into the convolutions before them, and the three equal channels of a grey picture into one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn import functional

from trainer.reading.decoder import ACTIVATIONS, Weights

BATCH_NORM_EPSILON = 1e-5
"""torch's, which transformers' ResNet leaves as it is."""


class Encoder(Protocol):
    """Turns grey pictures into what the decoder looks at."""

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        """grey: float32 [batch, 1, height, width], ink -1, paper +1; returns float32 [batch, cells, size]."""
        ...


def make_encoder(config: Mapping[str, Any], weights: Weights) -> Encoder | None:
    """Take the `encoder` section of a model's config.json and its weights, by their names below `encoder.`.

    None where it is another kind of encoder, which transformers can read.
    """
    if config["hidden_act"] not in ACTIVATIONS:
        return None
    if config["model_type"] in {"vit", "deit"}:
        return _Transformer(config, weights, embed=_Patches(weights))
    if config["model_type"] == "dpt" and config["is_hybrid"] and _is_plain_resnet(config["backbone_config"]):
        return _Transformer(config, weights, embed=_Hybrid(config, weights))
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
    """Layers with the norm before each part, as in ViT."""

    def __init__(
        self, config: Mapping[str, Any], weights: Weights, *, embed: Callable[[torch.Tensor], torch.Tensor]
    ) -> None:
        self._embed = embed
        self._heads = int(config["num_attention_heads"])
        self._epsilon = float(config["layer_norm_eps"])
        self._activation = ACTIVATIONS[config["hidden_act"]]
        names = [f"encoder.layer.{number}" for number in range(config["num_hidden_layers"])]
        self._layers = [_layer(weights, name) for name in names]
        self._last_norm = _pair(weights, "layernorm")

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        hidden = self._embed(grey)
        for layer in self._layers:
            hidden = hidden + self._attend(layer, self._norm(hidden, layer["layernorm_before"]))
            wide = functional.linear(self._norm(hidden, layer["layernorm_after"]), *layer["intermediate.dense"])
            hidden = hidden + functional.linear(self._activation(wide), *layer["output.dense"])
        return self._norm(hidden, self._last_norm)

    def _norm(self, hidden: torch.Tensor, pair: "_Pair") -> torch.Tensor:
        return functional.layer_norm(hidden, hidden.shape[-1:], *pair, self._epsilon)

    def _attend(self, layer: Mapping[str, "_Pair"], hidden: torch.Tensor) -> torch.Tensor:
        batch, cells = hidden.shape[:2]
        together = functional.linear(hidden, *layer["together"]).view(batch, cells, 3, self._heads, -1)
        query, key, value = together.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return functional.linear(seen.transpose(1, 2).flatten(2), *layer["attention.output.dense"])


_Pair = tuple[torch.Tensor, torch.Tensor | None]


def _pair(weights: Weights, name: str) -> _Pair:
    """Weight, and bias where there is one."""
    return weights[f"{name}.weight"], weights.get(f"{name}.bias")


def _layer(weights: Weights, name: str) -> Mapping[str, _Pair]:
    """The parts of a layer by name; `together`: query, key and value in one."""
    inner = [_pair(weights, f"{name}.attention.attention.{part}") for part in ("query", "key", "value")]
    biases = [bias for _, bias in inner if bias is not None]
    parts = ("attention.output.dense", "intermediate.dense", "output.dense", "layernorm_before", "layernorm_after")
    together = torch.cat([weight for weight, _ in inner]), torch.cat(biases) if biases else None
    return {"together": together, **{part: _pair(weights, f"{name}.{part}") for part in parts}}


class _Positions:
    """Special tokens before the cells, and a position added to each."""

    def __init__(self, special: torch.Tensor, positions: torch.Tensor) -> None:
        """special: [1, specials, size]; positions: [1, specials + cells, size]."""
        num_special = special.shape[1]
        self._special = special + positions[:, :num_special]
        self._positions = positions[:, num_special:]

    def __call__(self, cells: torch.Tensor) -> torch.Tensor:
        """cells: [batch, size, rows, columns]; returns [batch, specials + rows * columns, size]."""
        placed = cells.flatten(2).transpose(1, 2) + self._positions
        return torch.cat([self._special.expand(placed.shape[0], -1, -1), placed], dim=1)


class _Patches:
    """A linear map of each patch, as in ViT; DeiT has a second special token."""

    def __init__(self, weights: Weights) -> None:
        names = ("embeddings.cls_token", "embeddings.distillation_token")
        special = torch.cat([weights[name] for name in names if name in weights], dim=1)
        self._place = _Positions(special, weights["embeddings.position_embeddings"])
        weight, self._bias = _pair(weights, "embeddings.patch_embeddings.projection")
        self._weight = weight.sum(dim=1, keepdim=True)

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        return self._place(functional.conv2d(grey, self._weight, self._bias, stride=self._weight.shape[2:]))


class _Hybrid:
    """A residual network that halves the picture in its stem twice and after every stage but the first."""

    def __init__(self, config: Mapping[str, Any], weights: Weights) -> None:
        backbone = "embeddings.backbone"
        stem = _folded(weights, f"{backbone}.embedder.embedder")
        self._stem = _Convolution(weight=stem.weight.sum(dim=1, keepdim=True), bias=stem.bias)
        self._blocks = [
            _Block.of(weights, f"{backbone}.encoder.stages.{stage}.layers.{number}")
            for stage, depth in enumerate(config["backbone_config"]["depths"])
            for number in range(depth)
        ]
        self._strides = [
            2 if stage and number == 0 else 1
            for stage, depth in enumerate(config["backbone_config"]["depths"])
            for number in range(depth)
        ]
        self._projection = _pair(weights, "embeddings.projection")
        rows, columns = config["backbone_featmap_shape"][-2:]
        positions = _fitted(weights["embeddings.position_embeddings"], rows=rows, columns=columns)
        self._place = _Positions(weights["embeddings.cls_token"], positions)

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        hidden = functional.max_pool2d(self._stem(grey, stride=2).relu_(), kernel_size=3, stride=2, padding=1)
        for block, stride in zip(self._blocks, self._strides, strict=True):
            hidden = block(hidden, stride=stride)
        return self._place(functional.conv2d(hidden, *self._projection))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Convolution:
    """A convolution that keeps the size but for its stride."""

    weight: torch.Tensor
    bias: torch.Tensor

    def __call__(self, hidden: torch.Tensor, *, stride: int = 1) -> torch.Tensor:
        return functional.conv2d(hidden, self.weight, self.bias, stride=stride, padding=self.weight.shape[-1] // 2)


def _folded(weights: Weights, name: str) -> _Convolution:
    """A convolution without bias and the batch norm behind it, as one."""
    mean, variance = weights[f"{name}.normalization.running_mean"], weights[f"{name}.normalization.running_var"]
    scale = weights[f"{name}.normalization.weight"] / (variance + BATCH_NORM_EPSILON).sqrt()
    return _Convolution(
        weight=weights[f"{name}.convolution.weight"] * scale[:, None, None, None],
        bias=weights[f"{name}.normalization.bias"] - mean * scale,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Two convolutions beside a shortcut, which is one where size or channels change."""

    first: _Convolution
    second: _Convolution
    shortcut: _Convolution | None

    @classmethod
    def of(cls, weights: Weights, name: str) -> "_Block":
        has_shortcut = f"{name}.shortcut.convolution.weight" in weights
        return cls(
            first=_folded(weights, f"{name}.layer.0"),
            second=_folded(weights, f"{name}.layer.1"),
            shortcut=_folded(weights, f"{name}.shortcut") if has_shortcut else None,
        )

    def __call__(self, hidden: torch.Tensor, *, stride: int) -> torch.Tensor:
        beside = hidden if self.shortcut is None else self.shortcut(hidden, stride=stride)
        return self.second(self.first(hidden, stride=stride).relu_()).add_(beside).relu_()


def _fitted(positions: torch.Tensor, *, rows: int, columns: int) -> torch.Tensor:
    """The square of positions that transformers' DPT keeps, resized to the grid as it does in every pass."""
    square = positions[0, 1:]
    side = round(len(square) ** 0.5)
    grid = square.view(1, side, side, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(rows, columns), mode="bilinear")
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
