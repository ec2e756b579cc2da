"""Inference by torch from the weights in a model folder, without transformers."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from latexify.artifacts.names import WEIGHTS_NAME
from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.encoder import Encoder, make_encoder
from latexify.trainer.inference.layers import Weights
from latexify.trainer.inference.model import ENCODER_BATCH_SIZE, InferenceModel
from latexify.trainer.inference.runtime import Pixels
from latexify.trainer.model.pixels import grey_of


@torch.inference_mode()
def encode_pictures(encoder: Encoder, device: torch.device, pixels: Pixels) -> torch.Tensor:
    """Encode uint8 [batch, height, width], a few at a time on a CPU: floating [batch, patches, size]."""
    count = ENCODER_BATCH_SIZE if device.type == "cpu" else max(len(pixels), 1)
    parts = torch.split(torch.from_numpy(pixels), count)
    return torch.cat([encoder(grey_of(part.to(device, non_blocking=True))[:, None]) for part in parts])


def load_weights(folder: Path, *, device: torch.device) -> dict[str, torch.Tensor]:
    """Load model.safetensors in float32. Raises ValueError if it is damaged, OSError if it cannot be read."""
    with (folder / WEIGHTS_NAME).open("rb"):
        pass  # safetensors takes a file that it may not read for one that does not exist
    try:
        weights = load_file(folder / WEIGHTS_NAME, device=str(device))
    except SafetensorError as error:
        raise ValueError(f"{WEIGHTS_NAME}: {error}") from None
    return {name: weight.float() for name, weight in weights.items()}


def make_torch_model(
    config: Mapping[str, Any], weights: Weights, *, device: torch.device, packed: bool = True
) -> InferenceModel | None:
    """Make a model from the content of `config.json` and float32 weights; None if only transformers can run it.

    packed: see :func:`make_encoder`.
    """
    if "enc_to_dec_proj.weight" in weights:
        return None
    encoder = make_encoder(config["encoder"], weights_below(weights, "encoder."), packed=packed)
    if encoder is None:
        return None
    return InferenceModel(
        encode=partial(encode_pictures, encoder, device),
        decoder=StepDecoder(config["decoder"], weights_below(weights, "decoder.")),
        start_id=config["decoder_start_token_id"],
        end_id=config["eos_token_id"],
        device=str(device),
    )


def weights_below(weights: Weights, prefix: str) -> dict[str, torch.Tensor]:
    """Return the weights whose name begins with `prefix`, without it."""
    return {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
