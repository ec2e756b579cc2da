"""A TrOCR as transformers saves it, in a folder or on the hub, without what `latexify train` adds to it.

Its own image processor and tokenizer are used. Such a model was trained on pictures that the processor resized whole,
so pictures are not traced, and an ink is drawn onto a canvas of the processor's size.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, VisionEncoderDecoderModel

from latexify.artifacts.manifest import Manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError, first_line
from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.from_transformers import encode_inputs
from latexify.trainer.inference.model import ENCODER_BATCH_SIZE, InferenceModel, TrainedModel
from latexify.trainer.inference.runtime import Pixels
from latexify.trainer.loop.precision import choose_device
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.positions import pair
from latexify.trainer.model.pretrained import base_version, fetch, load_weights, store_positions

ROLE = "the model"
"""How error messages call it."""
PEN_FRACTION = 1 / 96
"""Width of the pen that draws an ink, of the shorter side: 4 px on a canvas of 384."""
MARGIN_FRACTION = 1 / 24

_PROBES = ((48, 16), (16, 48))  # width and height of two pictures, to see what the processor makes of them


def plain_manifest(model: Path) -> Manifest:
    """Describe the model: its name, and its version as `latexify.trainer.model.pretrained.base_version` gives it."""
    version = base_version(str(model), role=ROLE)
    return Manifest(kind=MODEL.kind, version=1, params={"plain": str(model)}, inputs={"base": str(version)})


def open_plain_trocr(model: Path, *, device: str | None) -> TrainedModel:
    """Open a plain TrOCR for inference.

    Args:
        model: A folder, or a name on the hub such as `microsoft/trocr-base-handwritten`.
        device: torch's name of a device; None chooses the best one.

    Raises:
        LatexifyError: If it cannot be loaded, or is of another kind than a TrOCR.
    """
    name = str(model)
    network = load_weights(name, dropout=0.0, role=ROLE)
    if network.config.decoder.model_type != "trocr":
        raise LatexifyError(f"the decoder of {name} is of type {network.config.decoder.model_type}: name a TrOCR")
    store_positions(network)
    processor = fetch(AutoImageProcessor, name, "image processor", role=ROLE)
    tokenizer = fetch(AutoTokenizer, name, "tokenizer", role=ROLE)
    height_px, width_px = _canvas_of(processor, network, name=name)
    chosen = choose_device(device)
    network.to(chosen).eval()
    shorter_px = min(height_px, width_px)
    inference = InferenceModel(
        encode=partial(_encode, network, processor),
        decoder=StepDecoder(network.config.decoder.to_dict(), network.decoder.state_dict()),
        start_id=_special_id(network, "decoder_start_token_id", name=name),
        end_id=_special_id(network, "eos_token_id", name=name),
        device=str(chosen),
    )
    return TrainedModel(
        inference=inference,
        texts=_texts_by(tokenizer),
        geometry=Geometry(
            height_px=height_px,
            width_px=width_px,
            margin_px=float(round(shorter_px * MARGIN_FRACTION)),
            pen_width_px=max(1.0, shorter_px * PEN_FRACTION),
        ),
        manifest=plain_manifest(model),
        resize=partial(_resize, processor),
    )


def _canvas_of(processor: Any, network: VisionEncoderDecoderModel, *, name: str) -> tuple[int, int]:
    """Return height and width of the pictures that the processor makes, in pixels."""
    sizes = set()
    for size in _PROBES:
        try:
            inputs = _inputs(processor, [Image.new("RGB", size, "white")])
        except (ValueError, TypeError) as error:
            raise LatexifyError(
                f"the image processor of {name} takes no plain pictures ({first_line(error)})"
            ) from None
        sizes.add((int(inputs.shape[-2]), int(inputs.shape[-1])))
    if len(sizes) > 1:
        raise LatexifyError(f"the image processor of {name} gives pictures of different sizes: name a TrOCR")
    [canvas] = sizes
    expected = getattr(network.config.encoder, "image_size", None)
    if expected is not None and tuple(pair(expected)) != canvas:
        raise LatexifyError(
            f"the image processor of {name} gives pictures of {canvas[0]}x{canvas[1]}, and its encoder takes "
            f"{'x'.join(map(str, pair(expected)))}: its folder is not complete"
        )
    return canvas


def _inputs(processor: Any, images: Sequence[Image.Image]) -> torch.Tensor:
    values: torch.Tensor = processor(images=list(images), return_tensors="pt")["pixel_values"]
    return values


def _resize(processor: Any, image: Pixels) -> Pixels:
    """Fit an image to the canvas as the processor does: uint8 [height, width] in and out."""
    pictures = processor(
        images=[Image.fromarray(image).convert("RGB")], do_rescale=False, do_normalize=False, return_tensors="np"
    )
    resized: Pixels = np.clip(np.rint(pictures["pixel_values"][0][0]), 0, 255).astype(np.uint8)
    return resized


@torch.inference_mode()
def _encode(network: VisionEncoderDecoderModel, processor: Any, pixels: Pixels) -> torch.Tensor:
    """Encode uint8 [batch, height, width], a few at a time: floating [batch, patches, size]."""
    encoded = []
    for part in np.split(pixels, range(ENCODER_BATCH_SIZE, len(pixels), ENCODER_BATCH_SIZE)):
        images = [Image.fromarray(picture).convert("RGB") for picture in part]
        encoded.append(encode_inputs(network, _inputs(processor, images).to(network.device)))
    return torch.cat(encoded)


def _special_id(network: VisionEncoderDecoderModel, name_of_id: str, *, name: str) -> int:
    """Return a special id from the first configuration that has it, as transformers looks for it."""
    for config in (network.generation_config, network.config, network.config.decoder):
        value = getattr(config, name_of_id, None)
        if value is not None:
            return int(value[0] if isinstance(value, list) else value)
    raise LatexifyError(f"the configuration of {name} lacks {name_of_id}: add it to its config.json")


def _texts_by(tokenizer: Any) -> Callable[[Sequence[list[int]]], list[str]]:
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    return lambda sequences: [tokenizer.decode(ids, **options).strip() for ids in sequences]
