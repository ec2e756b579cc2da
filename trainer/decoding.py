"""Reading pictures: batched decoding by transformers' `generate`, with a confidence for every result."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import LogitsProcessor, LogitsProcessorList

from trainer.model import LoadedModel, max_positions, model_input


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What a batch of pictures says.

    ids: token ids of each, without start, end and padding. confidence: float32 [batch], 0 to 1, the geometric mean of
    the probabilities of the chosen tokens, end token included, so that long formulas are not punished for their length.
    finished: bool [batch], False where the limit was reached before the end token.
    """

    ids: list[list[int]]
    confidence: npt.NDArray[np.float32]
    finished: npt.NDArray[np.bool_]


@torch.inference_mode()
def generate_ids(loaded: LoadedModel, pixels: torch.Tensor, *, num_beams: int, max_new_tokens: int) -> Decoded:
    """Decode pictures, greedily or with beams; a batch ends when its last sequence does.

    pixels: uint8 [batch, height, width], ink 0, paper 255. max_new_tokens: the end token counts; cut to what the
    decoder has positions for.
    """
    model = loaded.model
    recorder = _GreedyLogProbabilities()
    # the start token takes the first position
    limit = min(max_new_tokens, max_positions(model) - 1)
    output = model.generate(
        pixel_values=model_input(pixels, model),
        num_beams=num_beams,
        do_sample=False,
        max_length=1 + limit,  # unlike max_new_tokens it does not argue with the generation configuration
        return_dict_in_generate=True,
        output_scores=num_beams > 1,
        logits_processor=LogitsProcessorList([recorder] if num_beams == 1 else []),
    )
    sequences = output.sequences[:, 1:]
    ended = sequences == loaded.tokenizer.eos_token_id
    finished = ended.any(dim=1)
    lengths = torch.where(finished, ended.int().argmax(dim=1), sequences.shape[1])
    # with transformers' default length penalty of 1, the score of a beam is the mean over its tokens
    log_probability = recorder.mean(lengths + finished) if num_beams == 1 else output.sequences_scores
    return Decoded(
        ids=[sequence[:length] for sequence, length in zip(sequences.tolist(), lengths.tolist(), strict=True)],
        confidence=log_probability.float().exp().clamp(max=1.0).cpu().numpy(),
        finished=finished.cpu().numpy(),
    )


class _GreedyLogProbabilities(LogitsProcessor):  # type: ignore[misc]  # transformers is not followed
    """Keeps the log-probability of the best token of each step, which greedy decoding takes.

    Keeping all logits instead, as `output_scores` does, would take gigabytes with a vocabulary of 50,000.
    """

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        del input_ids
        self._steps.append(scores.float().log_softmax(dim=-1).amax(dim=-1))
        return scores

    def mean(self, lengths: torch.Tensor) -> torch.Tensor:
        """Mean over the first `lengths` steps of each sequence: float32 [batch]."""
        steps = torch.stack(self._steps, dim=1)
        within = torch.arange(steps.shape[1], device=steps.device) < lengths[:, None]
        return (steps * within).sum(dim=1) / lengths
