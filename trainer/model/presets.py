"""The shapes of models that start from random weights.

Standard transformers classes only, so that the trained folder loads anywhere. A new architecture is a new encoder shape
here, and an entry in `PRESETS`.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    DPTConfig,
    ResNetConfig,
    TrOCRConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

from latexify.common.errors import LatexifyError
from latexify.trainer.model.positions import grid_sinusoids, sinusoids, square_positions, stretched

MAX_TOKENS = 512
"""Positions of the decoder: the longest label, its end id included."""

LONGEST_WAVELENGTH = 256.0
"""Of the decoder's positions. Beyond it they repeat nothing: the other wavelengths still differ."""


@dataclass(frozen=True, kw_only=True)
class ViTShape:
    """Patches, then transformer layers, as in TrOCR itself. Dimensions as in transformers' `ViTConfig`."""

    cell_px: int
    size: int
    layers: int
    heads: int
    init_std: float = 0.02

    def config(self, *, height_px: int, width_px: int, dropout: float) -> ViTConfig:
        """The configuration of this encoder for a canvas."""
        return ViTConfig(
            image_size=[height_px, width_px],
            patch_size=self.cell_px,
            num_channels=3,
            hidden_size=self.size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.size,
            qkv_bias=False,
            hidden_dropout_prob=dropout,
            initializer_range=self.init_std,
        )

    def positions(self, grid: torch.Tensor, *, width_px: int) -> torch.Tensor:
        """The learned positions that stand for `grid` (float32 [rows, columns, size]): float32 [positions, size]."""
        del width_px
        return grid.flatten(0, 1)

    def fits(self, *, height_px: int, width_px: int) -> bool:
        """Any canvas of whole cells will do."""
        return height_px > 0 and width_px > 0


@dataclass(frozen=True, kw_only=True)
class HybridShape:
    """A residual network that halves the picture three times, then transformer layers: transformers' hybrid DPT.

    Convolutions learn strokes from few pictures, which patches do not: see docs/guide/training.md for the measurements.
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

    def config(self, *, height_px: int, width_px: int, dropout: float) -> DPTConfig:
        """The configuration of this encoder for a canvas."""
        rows, columns = height_px // self.cell_px, width_px // self.cell_px
        square = square_positions(rows, columns, width_px=width_px)
        assert square is not None, "the canvas was checked"
        backbone = ResNetConfig(
            num_channels=3,
            embedding_size=self.stem_channels,
            hidden_sizes=list(self.stage_channels),
            depths=list(self.stage_depths),
            layer_type="basic",
            out_features=["stem", "stage1", "stage2"],
        )
        return DPTConfig(
            is_hybrid=True,
            backbone_config=backbone,
            backbone_featmap_shape=[1, self.stage_channels[-1], rows, columns],
            backbone_out_indices=[0],
            neck_hidden_sizes=[16] * 4,
            fusion_hidden_size=16,
            image_size=[height_px, width_px],
            patch_size=[self.cell_px, square[1]],
            num_channels=3,
            hidden_size=self.size,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=2 * self.size,
            hidden_dropout_prob=dropout,
            layer_norm_eps=1e-6,
            initializer_range=self.init_std,
        )

    def positions(self, grid: torch.Tensor, *, width_px: int) -> torch.Tensor:
        """The learned positions that become `grid` (float32 [rows, columns, size]): float32 [side², size]."""
        square = square_positions(*grid.shape[:2], width_px=width_px)
        assert square is not None, "the canvas was checked"
        return stretched(grid, side=square[0]).flatten(0, 1)

    def fits(self, *, height_px: int, width_px: int) -> bool:
        """Whether the positions of this canvas can be kept as a square."""
        rows, columns = height_px // self.cell_px, width_px // self.cell_px
        return square_positions(rows, columns, width_px=width_px) is not None


@dataclass(frozen=True, kw_only=True)
class DecoderShape:
    """A TrOCR decoder. Dimensions as in transformers' `TrOCRConfig`."""

    size: int
    layers: int
    heads: int
    init_std: float = 0.07

    def config(self, *, vocab_size: int, encoder_size: int, dropout: float) -> TrOCRConfig:
        """The configuration of this decoder for a vocabulary and the size of the encoder that it attends to."""
        return TrOCRConfig(
            vocab_size=vocab_size,
            d_model=self.size,
            cross_attention_hidden_size=encoder_size,
            decoder_layers=self.layers,
            decoder_attention_heads=self.heads,
            decoder_ffn_dim=4 * self.size,
            max_position_embeddings=MAX_TOKENS,
            dropout=dropout,
            init_std=self.init_std,
            scale_embedding=True,
        )


PRESETS: dict[str, tuple[ViTShape | HybridShape, DecoderShape]] = {
    # for minutes on a CPU
    "tiny": (
        HybridShape(stem_channels=48, stage_channels=(64, 128), stage_depths=(2, 2), size=192, layers=2, heads=4),
        DecoderShape(size=192, layers=2, heads=4),
    ),
    # for a day on a CPU: convolutions where strokes are, attention where they have become symbols
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


def build(
    preset: str, *, vocab_size: int, height_px: int, width_px: int, dropout: float = 0.0
) -> VisionEncoderDecoderModel:
    """A randomly initialised TrOCR for pictures of `height_px` x `width_px` in three channels.

    Draws from torch's global generator. Raises LatexifyError where the encoder cannot take the canvas.
    """
    encoder, decoder = PRESETS[preset]
    if height_px % encoder.cell_px or width_px % encoder.cell_px:
        raise LatexifyError(
            f"model.preset `{preset}` sees the picture in cells of {encoder.cell_px} pixels: make "
            f"rasterize.height_px and width_px multiples of it (found {height_px} and {width_px})"
        )
    if not encoder.fits(height_px=height_px, width_px=width_px):
        raise LatexifyError(
            f"model.preset `{preset}` cannot place {height_px}x{width_px} pixels on a square of positions: "
            f"set rasterize.width_px to {_nearest_widths(encoder, height_px=height_px, width_px=width_px)}"
        )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder.config(height_px=height_px, width_px=width_px, dropout=dropout),
        decoder.config(vocab_size=vocab_size, encoder_size=encoder.size, dropout=dropout),
    )
    model = VisionEncoderDecoderModel(config=config)
    grid = grid_sinusoids(height_px // encoder.cell_px, width_px // encoder.cell_px, encoder.size)
    _initialise(model, encoder.positions(grid, width_px=width_px))
    return model


def _nearest_widths(encoder: ViTShape | HybridShape, *, height_px: int, width_px: int) -> str:
    """The nearest widths that fit: there is always one within the height's squares."""
    cell, rows = encoder.cell_px, height_px // encoder.cell_px
    widths = range(cell, cell * cell * rows * max(rows, width_px) + cell, cell)
    fitting = (width for width in widths if encoder.fits(height_px=height_px, width_px=width))
    smaller, larger = None, None
    for width in fitting:
        if width > width_px:
            larger = width
            break
        smaller = width
    return " or ".join(str(width) for width in (smaller, larger) if width is not None)


@torch.no_grad()
def _initialise(model: Any, patch_positions: torch.Tensor) -> None:
    """Start positions as sinusoids and token vectors, after the decoder has scaled them up, at unit variance."""
    positions = model.encoder.embeddings.position_embeddings  # [1, 1 + cells, size], the class token first
    positions.zero_()
    positions[0, 1:] = patch_positions
    decoder = model.decoder.model.decoder
    steps = decoder.embed_positions.weight
    steps.copy_(sinusoids(len(steps), steps.shape[1], longest=LONGEST_WAVELENGTH))
    tokens = decoder.embed_tokens.weight
    tokens.normal_(0.0, tokens.shape[1] ** -0.5)
