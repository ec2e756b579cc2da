"""Inference with a model of transformers, such as the one in training."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import VisionEncoderDecoderModel

from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.from_torch import TorchEncoder
from latexify.trainer.inference.model import InferenceModel
from latexify.trainer.model.model import LoadedModel


@dataclass(frozen=True, kw_only=True)
class GeneratedBatch:
    """The best token sequence of each picture of a batch.

    Attributes:
        ids: Token ids without start, end and padding.
        confidence: float32 [batch], 0 to 1, see `Hypothesis`.
        finished: bool [batch], False if the length limit was reached before the end token or the tokens looped.
    """

    ids: list[list[int]]
    confidence: npt.NDArray[np.float32]
    finished: npt.NDArray[np.bool_]


def generate_ids(
    loaded: LoadedModel, pixels: torch.Tensor, *, num_beams: int, max_new_tokens: int, stop_loops: bool = True
) -> GeneratedBatch:
    """Find the best token sequence of each picture, by greedy or beam search.

    Args:
        loaded: Model to run as it is now.
        pixels: uint8 [batch, height, width], ink 0, paper 255.
        num_beams: Beam width; 1 is greedy search.
        max_new_tokens: Maximum number of tokens, end token included; limited to the decoder's positions.
        stop_loops: Cut sequences off that repeat themselves.

    Returns:
        Ids and confidences.
    """
    hypotheses = make_inference_model(loaded).generate(
        pixels.cpu().numpy(), max_tokens=max_new_tokens, num_beams=num_beams, stop_loops=stop_loops
    )
    best = [of_picture[0] for of_picture in hypotheses]
    return GeneratedBatch(
        ids=[hypothesis.ids for hypothesis in best],
        confidence=np.array([hypothesis.confidence for hypothesis in best], np.float32),
        finished=np.array([hypothesis.finished for hypothesis in best], np.bool_),
    )


def make_inference_model(loaded: LoadedModel) -> InferenceModel:
    """Prepare a model as it is now, on its device; later training steps may have no effect."""
    model = loaded.model
    return InferenceModel(
        encode=TorchEncoder(TransformersEncoder(model), model.device),
        decoder=StepDecoder(model.config.decoder.to_dict(), model.decoder.state_dict()),
        start_id=model.config.decoder_start_token_id,
        end_id=model.config.eos_token_id,
        device=str(model.device),
    )


class TransformersEncoder:
    """The encoder of a model of transformers, as `Encoder`."""

    def __init__(self, model: VisionEncoderDecoderModel) -> None:
        self._model = model

    def __call__(self, grey: torch.Tensor) -> torch.Tensor:
        """grey: float32 [batch, 1, height, width], ink -1, paper +1; returns floating [batch, patches, size]."""
        model = self._model
        pictures = grey.expand(-1, model.config.encoder.num_channels, -1, -1)
        encoded: torch.Tensor = model.encoder(pixel_values=pictures).last_hidden_state
        # where encoder and decoder differ in size and cross-attention does not map between them
        return model.enc_to_dec_proj(encoded) if hasattr(model, "enc_to_dec_proj") else encoded
