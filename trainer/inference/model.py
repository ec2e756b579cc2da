"""A model for inference: pictures in, token ids and text out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from latexify.artifacts.manifest import Manifest
from latexify.trainer.inference.beams import beam_search
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.runtime import Pixels, TokenDecoder
from latexify.trainer.inference.search import Hypothesis, Search, greedy_search
from latexify.trainer.model.canvas import Geometry

ENCODER_BATCH_SIZE = 8
"""Pictures that a CPU encodes at a time: more do not stay in its caches, and each then takes half as long again."""


@dataclass(frozen=True, kw_only=True)
class InferenceModel:
    """Encoder and decoder of one runtime.

    `encode` maps pictures, uint8 [batch, height, width], to what `decoder.start` takes, floating [batch, ...].
    """

    encode: Callable[[Pixels], Any]
    decoder: TokenDecoder[Any]
    device: str  # that computes, as torch writes it
    start_id: int  # every sequence begins with it
    end_id: int  # every sequence ends with it

    def generate(  # noqa: PLR0913  # all but the pictures are named
        self,
        pixels: Pixels,
        *,
        max_tokens: int,
        num_beams: int = 1,
        num_best: int = 1,
        stop_loops: bool = True,
        constraint: Constraint | None = None,
    ) -> list[list[Hypothesis]]:
        """Find the best token sequences of each picture, best first. Other pictures in the batch change no result.

        pixels: uint8 [batch, height, width], ink 0, paper 255. `Search` explains the other arguments; `max_tokens` is
        also limited to the decoder's positions, and `num_best` to `num_beams`.
        """
        search = Search(
            start_id=self.start_id,
            end_id=self.end_id,
            max_tokens=min(max_tokens, self.decoder.max_positions - 1),  # the start token takes the first position
            num_beams=num_beams,
            num_best=min(num_best, num_beams),
            stop_loops=stop_loops,
            constraint=constraint,
        )
        find = greedy_search if num_beams == 1 else beam_search
        return find(self.decoder, self.encode(pixels), search)


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model folder, opened for inference."""

    inference: InferenceModel
    texts: Callable[[Sequence[list[int]]], list[str]]  # token ids to text
    geometry: Geometry  # the canvas that the model was trained on
    manifest: Manifest
