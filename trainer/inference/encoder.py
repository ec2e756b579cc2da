"""The encoders that we train, from their weights: ViT and DeiT, and the residual network with ViT layers (hybrid DPT).

Batch norms are folded into the convolutions before them, and the three equal channels of a grey picture into one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.nn import functional

from latexify.trainer.inference.decoder import ACTIVATIONS
from latexify.trainer.inference.layers import Convolution, Linear, Norm, Weights

BATCH_NORM_EPSILON = 1e-5
"""torch's, which transformers' ResNet leaves as it is."""


class Encoder(Protocol):
    """Turns grey pictures into what the decoder looks at."""

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        """grey: float32 [batch, 1, height, width], ink -1, paper +1; returns float32 [batch, cells, size]."""
        ...


def make_encoder(config: Mapping[str, Any], weights: Weights, *, packed: bool = True) -> Encoder | None:
    """Take the `encoder` section of a model's config.json and its weights, by their names below `encoder.`.

    packed: let oneDNN lay the weights out where it can, which graphs for others cannot be made of.

    None where it is another kind of encoder, which transformers can read.
    """
    if config["hidden_act"] not in ACTIVATIONS:
        return None
    if config["model_type"] in {"vit", "deit"}:
        return _Transformer(config, weights, embed=_Patches(weights, packed=packed), packed=packed)
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
    """Layers with the norm before each part, as in ViT."""

    def __init__(
        self,
        config: Mapping[str, Any],
        weights: Weights,
        *,
        embed: Callable[[torch.Tensor], torch.Tensor],
        packed: bool,
    ) -> None:
        self._embed = embed
        self._heads = int(config["num_attention_heads"])
        epsilon = float(config["layer_norm_eps"])
        self._activation = ACTIVATIONS[config["hidden_act"]]
        names = [f"encoder.layer.{number}" for number in range(config["num_hidden_layers"])]
        self._layers = [_Layer.of(weights, name, epsilon=epsilon, packed=packed) for name in names]
        self._last_norm = Norm(weights, "layernorm", epsilon=epsilon)

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        hidden = self._embed(grey)
        for layer in self._layers:
            hidden = hidden + self._attend(layer, layer.first_norm(hidden))
            hidden = hidden + layer.narrow(self._activation(layer.widen(layer.second_norm(hidden))))
        return self._last_norm(hidden)

    def _attend(self, layer: "_Layer", hidden: torch.Tensor) -> torch.Tensor:
        batch, cells = hidden.shape[:2]
        together = layer.together(hidden).view(batch, cells, 3, self._heads, -1)
        query, key, value = together.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return layer.out(seen.transpose(1, 2).flatten(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    """The parts of a layer. together: query, key and value."""

    first_norm: Norm
    together: Linear
    out: Linear
    second_norm: Norm
    widen: Linear
    narrow: Linear

    @classmethod
    def of(cls, weights: Weights, name: str, *, epsilon: float, packed: bool) -> "_Layer":
        inner = f"{name}.attention.attention"
        return cls(
            first_norm=Norm(weights, f"{name}.layernorm_before", epsilon=epsilon),
            together=Linear.of(weights, f"{inner}.query", f"{inner}.key", f"{inner}.value", packed=packed),
            out=Linear.of(weights, f"{name}.attention.output.dense", packed=packed),
            second_norm=Norm(weights, f"{name}.layernorm_after", epsilon=epsilon),
            widen=Linear.of(weights, f"{name}.intermediate.dense", packed=packed),
            narrow=Linear.of(weights, f"{name}.output.dense", packed=packed),
        )


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

    def __init__(self, weights: Weights, *, packed: bool) -> None:
        names = ("embeddings.cls_token", "embeddings.distillation_token")
        special = torch.cat([weights[name] for name in names if name in weights], dim=1)
        self._place = _Positions(special, weights["embeddings.position_embeddings"])
        name = "embeddings.patch_embeddings.projection"
        weight = weights[f"{name}.weight"]
        self._project = Convolution(
            weight.sum(dim=1, keepdim=True), weights.get(f"{name}.bias"), stride=weight.shape[2:], packed=packed
        )

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        return self._place(self._project(grey))


class _Hybrid:
    """A residual network that halves the picture in its stem twice and after every stage but the first."""

    def __init__(self, config: Mapping[str, Any], weights: Weights, *, packed: bool) -> None:
        backbone = "embeddings.backbone"
        self._stem = _folded(weights, f"{backbone}.embedder.embedder", stride=2, is_grey=True, packed=packed)
        self._blocks = [
            _Block.of(
                weights,
                f"{backbone}.encoder.stages.{stage}.layers.{number}",
                stride=2 if stage and number == 0 else 1,
                packed=packed,
            )
            for stage, depth in enumerate(config["backbone_config"]["depths"])
            for number in range(depth)
        ]
        projection = "embeddings.projection"
        self._project = Convolution(weights[f"{projection}.weight"], weights.get(f"{projection}.bias"), packed=packed)
        rows, columns = config["backbone_featmap_shape"][-2:]
        positions = _fitted(weights["embeddings.position_embeddings"], rows=rows, columns=columns)
        self._place = _Positions(weights["embeddings.cls_token"], positions)

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        hidden = functional.max_pool2d(self._stem.relu(grey), kernel_size=3, stride=2, padding=1)
        for block in self._blocks:
            hidden = block(hidden)
        return self._place(self._project(hidden))


def _folded(weights: Weights, name: str, *, stride: int, packed: bool, is_grey: bool = False) -> Convolution:
    """A convolution without bias and the batch norm behind it, as one, which keeps the size but for its stride.

    is_grey: all channels of what it sees are the same, and it is given one of them.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """Two convolutions beside a shortcut, which is one where size or channels change."""

    first: Convolution
    second: Convolution
    shortcut: Convolution | None

    @classmethod
    def of(cls, weights: Weights, name: str, *, stride: int, packed: bool) -> "_Block":
        has_shortcut = f"{name}.shortcut.convolution.weight" in weights
        return cls(
            first=_folded(weights, f"{name}.layer.0", stride=stride, packed=packed),
            second=_folded(weights, f"{name}.layer.1", stride=1, packed=packed),
            shortcut=_folded(weights, f"{name}.shortcut", stride=stride, packed=packed) if has_shortcut else None,
        )

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        beside = hidden if self.shortcut is None else self.shortcut(hidden)
        return self.second.relu(self.first.relu(hidden), beside=beside)


def _fitted(positions: torch.Tensor, *, rows: int, columns: int) -> torch.Tensor:
    """The square of positions that transformers' DPT keeps, resized to the grid as it does in every pass."""
    square = positions[0, 1:]
    side = round(len(square) ** 0.5)
    grid = square.view(1, side, side, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(rows, columns), mode="bilinear")
    return torch.cat([positions[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
