"""Reading pictures with a model of transformers, such as the one in training: see `latexify.trainer.inference`."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from latexify.trainer.inference.decoder import StepDecoder
from latexify.trainer.inference.reader import Reader
from latexify.trainer.model.model import LoadedModel, model_input


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a batch of pictures says.

    ids: token ids of each, without start, end and padding. confidence: float32 [batch], 0 to 1, see `Hypothesis`.
    finished: bool [batch], False where the limit was reached before the end token, or the tokens went round in circles.
    """

    ids: list[list[int]]
    confidence: npt.NDArray[np.float32]
    finished: npt.NDArray[np.bool_]


def generate_ids(
    loaded: LoadedModel, pixels: torch.Tensor, *, num_beams: int, max_new_tokens: int, stop_loops: bool = True
) -> Decoded:
    """Decode pictures, greedily or with beams.

    pixels: uint8 [batch, height, width], ink 0, paper 255. max_new_tokens: the end token counts; cut to what the
    decoder has positions for. stop_loops: cut off sequences that repeat themselves.
    """
    reader = reader_of(loaded)
    found = reader.read(pixels, max_tokens=max_new_tokens, num_beams=num_beams, stop_loops=stop_loops)
    best = [hypotheses[0] for hypotheses in found]
    return Decoded(
        ids=[hypothesis.ids for hypothesis in best],
        confidence=np.array([hypothesis.confidence for hypothesis in best], np.float32),
        finished=np.array([hypothesis.finished for hypothesis in best], np.bool_),
    )


def reader_of(loaded: LoadedModel) -> Reader:
    """A reader of a model as it stands now, on its device; later steps of training may not be seen."""
    model = loaded.model

    def encode(pixels: torch.Tensor) -> torch.Tensor:
        memory: torch.Tensor = model.encoder(pixel_values=model_input(pixels, model)).last_hidden_state
        # where decoder and encoder differ in size, and the attention between them does not translate
        return model.enc_to_dec_proj(memory) if hasattr(model, "enc_to_dec_proj") else memory

    return Reader(
        encode=encode,
        decoder=StepDecoder(model.config.decoder.to_dict(), model.decoder.state_dict()),
        start_id=model.config.decoder_start_token_id,
        end_id=model.config.eos_token_id,
        device=model.device,
    )
