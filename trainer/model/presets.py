"""The presets: sizes of models that start from random weights. Imports no torch, so parameters are checked quickly.

Each preset is one entry of `PRESETS`, see ``docs/guide/add-a-model-preset.md``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ViTShape:
    """Patches, then transformer layers, as in TrOCR itself. Dimensions as in transformers' `ViTConfig`."""

    cell_px: int
    size: int
    layers: int
    heads: int
    init_std: float = 0.02


@dataclass(frozen=True, kw_only=True)
class HybridShape:
    """A residual network that halves the picture three times, then transformer layers: transformers' hybrid DPT.

    Convolutions learn strokes from few pictures, and patches do not: see docs/guide/training.md for the measurements.
    The network has batch norms, whose statistics are those of a micro-batch.
    """

    stem_channels: int
    stage_channels: tuple[int, int]
    stage_depths: tuple[int, int]
    size: int
    layers: int
    heads: int
    cell_px: int = 8
    init_std: float = 0.05


@dataclass(frozen=True, kw_only=True)
class DecoderShape:
    """A TrOCR decoder. Dimensions as in transformers' `TrOCRConfig`."""

    size: int
    layers: int
    heads: int
    init_std: float = 0.07


EncoderShape = ViTShape | HybridShape

PRESETS: dict[str, tuple[EncoderShape, DecoderShape]] = {
    # trains in minutes on a CPU
    "tiny": (
        HybridShape(stem_channels=48, stage_channels=(64, 128), stage_depths=(2, 2), size=192, layers=2, heads=4),
        DecoderShape(size=192, layers=2, heads=4),
    ),
    # trains in a day on a CPU
    "small": (
        HybridShape(stem_channels=48, stage_channels=(64, 128), stage_depths=(3, 4), size=256, layers=2, heads=4),
        DecoderShape(size=256, layers=3, heads=4),
    ),
    # the shape of microsoft/trocr-base-*
    "base": (
        ViTShape(cell_px=16, size=768, layers=12, heads=12),
        DecoderShape(size=1024, layers=12, heads=16, init_std=0.02),
    ),
}
"""Encoder and decoder of each value of `model.preset`."""
