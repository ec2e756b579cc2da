"""Inference with a model of transformers, such as the one in training."""

from functools import partial

import torch
from transformers import VisionEncoderDecoderModel

from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.from_torch import encode_pictures
from latexify.trainer.inference.model import InferenceModel
from latexify.trainer.model.model import LoadedModel


def make_inference_model(loaded: LoadedModel) -> InferenceModel:
    """Prepare a model as it is now, on its device; later training steps may have no effect."""
    model = loaded.model
    return InferenceModel(
        encode=partial(encode_pictures, partial(encode_by_transformers, model), model.device),
        decoder=StepDecoder(model.config.decoder.to_dict(), model.decoder.state_dict()),
        start_id=model.config.decoder_start_token_id,
        end_id=model.config.eos_token_id,
        device=str(model.device),
    )


def encode_by_transformers(model: VisionEncoderDecoderModel, grey: torch.Tensor) -> torch.Tensor:
    """Encode with the encoder of a model, as an `Encoder` does."""
    return encode_inputs(model, grey.expand(-1, model.config.encoder.num_channels, -1, -1))


def encode_inputs(model: VisionEncoderDecoderModel, pictures: torch.Tensor) -> torch.Tensor:
    """Encode pictures, float32 [batch, channels, height, width], as the decoder takes them."""
    encoded: torch.Tensor = model.encoder(pixel_values=pictures).last_hidden_state
    # where encoder and decoder differ in size and cross-attention does not map between them
    return model.enc_to_dec_proj(encoded) if hasattr(model, "enc_to_dec_proj") else encoded
