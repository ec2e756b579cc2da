"""Inference by torch from the weights in a model folder, without transformers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.encoder import Encoder, make_encoder
from latexify.trainer.inference.layers import Weights
from latexify.trainer.inference.model import ENCODER_BATCH_SIZE, WEIGHTS_NAME, InferenceModel
from latexify.trainer.inference.runtime import Pixels
from latexify.trainer.model.pixels import grey_of


class TorchEncoder:
    """Encode pictures by torch, a few at a time on a CPU."""

    def __init__(self, encoder: Encoder, device: torch.device) -> None:
        self._encoder, self._device = encoder, device

    @torch.inference_mode()
    def __call__(self, pixels: Pixels) -> torch.Tensor:
        """pixels: uint8 [batch, height, width]; returns floating [batch, patches, size]."""
        count = ENCODER_BATCH_SIZE if self._device.type == "cpu" else max(len(pixels), 1)
        parts = torch.split(torch.from_numpy(pixels), count)
        return torch.cat([self._encoder(grey_of(part.to(self._device, non_blocking=True))[:, None]) for part in parts])


def load_weights(folder: Path, *, device: torch.device) -> dict[str, torch.Tensor]:
    """Load model.safetensors in float32. Raises ValueError if it is damaged."""
    try:
        weights = load_file(folder / WEIGHTS_NAME, device=str(device))
    except SafetensorError as error:
        raise ValueError(f"{WEIGHTS_NAME}: {error}") from None
    return {name: weight.float() for name, weight in weights.items()}


def make_torch_model(
    config: Mapping[str, Any], weights: Weights, *, device: torch.device, packed: bool = True
) -> InferenceModel | None:
    """Make a model from `config.json` and weights.

    Args:
        config: Content of `config.json`.
        weights: Float32, by their names in model.safetensors.
        device: Device of the weights.
        packed: See :func:`make_encoder`.

    Returns:
        The model; None if only transformers can run it.
    """
    if "enc_to_dec_proj.weight" in weights:
        return None
    encoder = make_encoder(config["encoder"], weights_below(weights, "encoder."), packed=packed)
    if encoder is None:
        return None
    return InferenceModel(
        encode=TorchEncoder(encoder, device),
        decoder=StepDecoder(config["decoder"], weights_below(weights, "decoder.")),
        start_id=config["decoder_start_token_id"],
        end_id=config["eos_token_id"],
        device=str(device),
    )


def weights_below(weights: Weights, prefix: str) -> dict[str, torch.Tensor]:
    """Return the weights whose name begins with `prefix`, without it."""
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
