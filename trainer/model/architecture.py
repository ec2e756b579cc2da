"""Models with random weights, made of transformers' own classes from the shapes of a preset, so they load anywhere."""

from typing import Any

import torch
from transformers import (
    DPTConfig,
    PretrainedConfig,
    ResNetConfig,
    TrOCRConfig,
    VisionEncoderDecoderConfig,
    VisionEncoderDecoderModel,
    ViTConfig,
)

from latexify.common.errors import LatexifyError
from latexify.trainer.model.positions import grid_sinusoids, sinusoids, square_grid, stretched
from latexify.trainer.model.presets import PRESETS, DecoderShape, EncoderShape, HybridShape

MAX_TOKENS = 512
"""Positions of the decoder: the longest label, its end id included."""
LONGEST_WAVELENGTH = 256.0
"""Longest wavelength of the decoder's positions. Beyond it no position repeats: the other wavelengths still differ."""


def build(
    preset: str, *, vocab_size: int, height_px: int, width_px: int, dropout: float = 0.0
) -> VisionEncoderDecoderModel:
    """Build a randomly initialised TrOCR for pictures of three channels. Draws from torch's global generator.

    Raises LatexifyError if the encoder cannot take the canvas.
    """
    encoder, decoder = PRESETS[preset]
    if height_px % encoder.cell_px or width_px % encoder.cell_px:
        raise LatexifyError(
            f"model.preset `{preset}` divides the picture into cells of {encoder.cell_px} pixels: make "
            f"rasterize.height_px and width_px multiples of it (found {height_px} and {width_px})"
        )
    if not _fits(encoder, height_px=height_px, width_px=width_px):
        raise LatexifyError(
            f"model.preset `{preset}` cannot map {height_px}x{width_px} pixels to a square of positions: "
            f"set rasterize.width_px to {_nearest_widths(encoder, height_px=height_px, width_px=width_px)}"
        )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        encoder_config(encoder, height_px=height_px, width_px=width_px, dropout=dropout),
        decoder_config(decoder, vocab_size=vocab_size, encoder_size=encoder.size, dropout=dropout),
    )
    model = VisionEncoderDecoderModel(config=config)
    positions = grid_sinusoids(height_px // encoder.cell_px, width_px // encoder.cell_px, encoder.size)
    if isinstance(encoder, HybridShape):
        positions = stretched(positions, side=_square(encoder, height_px=height_px, width_px=width_px)[0])
    _initialise(model, positions.flatten(0, 1))
    return model


def encoder_config(shape: EncoderShape, *, height_px: int, width_px: int, dropout: float) -> PretrainedConfig:
    """Configure an encoder for a canvas."""
    common = {
        "image_size": [height_px, width_px],
        "num_channels": 3,
        "hidden_size": shape.size,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "hidden_dropout_prob": dropout,
        "initializer_range": shape.init_std,
    }
    if not isinstance(shape, HybridShape):
        return ViTConfig(patch_size=shape.cell_px, intermediate_size=4 * shape.size, qkv_bias=False, **common)
    backbone = ResNetConfig(
        num_channels=3,
        embedding_size=shape.stem_channels,
        hidden_sizes=list(shape.stage_channels),
        depths=list(shape.stage_depths),
        layer_type="basic",
        out_features=["stem", "stage1", "stage2"],
    )
    grid = [height_px // shape.cell_px, width_px // shape.cell_px]
    return DPTConfig(
        is_hybrid=True,
        backbone_config=backbone,
        backbone_featmap_shape=[1, shape.stage_channels[-1], *grid],
        backbone_out_indices=[0],
        neck_hidden_sizes=[16] * 4,
        fusion_hidden_size=16,
        patch_size=[shape.cell_px, _square(shape, height_px=height_px, width_px=width_px)[1]],
        intermediate_size=2 * shape.size,
        layer_norm_eps=1e-6,
        **common,
    )


def decoder_config(shape: DecoderShape, *, vocab_size: int, encoder_size: int, dropout: float) -> TrOCRConfig:
    """Configure a decoder for a vocabulary and the size of the encoder that it attends to."""
    return TrOCRConfig(
        vocab_size=vocab_size,
        d_model=shape.size,
        cross_attention_hidden_size=encoder_size,
        decoder_layers=shape.layers,
        decoder_attention_heads=shape.heads,
        decoder_ffn_dim=4 * shape.size,
        max_position_embeddings=MAX_TOKENS,
        dropout=dropout,
        init_std=shape.init_std,
        scale_embedding=True,
    )


def _square(shape: HybridShape, *, height_px: int, width_px: int) -> tuple[int, int]:
    square = square_grid(height_px // shape.cell_px, width_px // shape.cell_px, width_px=width_px)
    assert square is not None, "the canvas was checked"
    return square


def _fits(shape: EncoderShape, *, height_px: int, width_px: int) -> bool:
    """Whether the positions of a canvas of whole cells can be kept as the encoder keeps them."""
    if not isinstance(shape, HybridShape):
        return True
    return square_grid(height_px // shape.cell_px, width_px // shape.cell_px, width_px=width_px) is not None


def _nearest_widths(encoder: EncoderShape, *, height_px: int, width_px: int) -> str:
    """The nearest widths that fit: there is always one within the height's squares."""
    cell, rows = encoder.cell_px, height_px // encoder.cell_px
    widths = range(cell, cell * cell * rows * max(rows, width_px) + cell, cell)
    smaller, larger = None, None
    for width in (width for width in widths if _fits(encoder, height_px=height_px, width_px=width)):
        if width > width_px:
            larger = width
            break
        smaller = width
    return " or ".join(str(width) for width in (smaller, larger) if width is not None)


@torch.no_grad()
def _initialise(model: Any, patch_positions: torch.Tensor) -> None:
    """Set positions to sinusoids, and token vectors to unit variance after the decoder has scaled them up."""
    positions = model.encoder.embeddings.position_embeddings  # [1, 1 + cells, size], the class token first
    positions.zero_()
    positions[0, 1:] = patch_positions
    decoder = model.decoder.model.decoder
    steps = decoder.embed_positions.weight
    steps.copy_(sinusoids(len(steps), steps.shape[1], longest=LONGEST_WAVELENGTH))
    tokens = decoder.embed_tokens.weight
    tokens.normal_(0.0, tokens.shape[1] ** -0.5)
