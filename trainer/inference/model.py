"""A model for inference: pictures in, token ids and text out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from latexify.artifacts.manifest import Manifest
from latexify.trainer.inference.beams import beam_search
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.rescore import rescore
from latexify.trainer.inference.runtime import Pixels, TokenDecoder
from latexify.trainer.inference.search import Hypothesis, Search, greedy_search
from latexify.trainer.inference.voting import redraw, vote
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
    backward_start_id: int | None = None  # what labels from right to left begin with; None: the model has learned none
    geometry: Geometry | None = None  # of the pictures that it takes; None: drawings have the size of the picture

    def generate(  # noqa: PLR0913  # all but the pictures are named
        self,
        pixels: Pixels,
        *,
        max_tokens: int,
        num_beams: int = 1,
        num_best: int = 1,
        num_drawings: int = 1,
        stop_loops: bool = True,
        constraint: Constraint | None = None,
    ) -> list[list[Hypothesis]]:
        """Find the best token sequences of each picture, best first. Other pictures in the batch change no result.

        A model that has learned both directions judges the hypotheses of a beam search from right to left as well.

        Args:
            pixels: uint8 [batch, height, width], ink 0, paper 255.
            max_tokens: As in `Search`, and limited to the decoder's positions.
            num_beams: As in `Search`.
            num_best: Hypotheses to return for each picture; there may be fewer.
            num_drawings: Drawings of each picture that are searched and vote, see `latexify.trainer.inference.voting`.
            stop_loops: As in `Search`.
            constraint: As in `Search`.
        """
        search = Search(
            start_id=self.start_id,
            end_id=self.end_id,
            max_tokens=min(max_tokens, self.decoder.max_positions - 1),  # the start token takes the first position
            num_beams=num_beams,
            num_best=min(num_best, num_beams) if num_drawings == 1 and not self._rescores(num_beams) else num_beams,
            stop_loops=stop_loops,
            constraint=constraint,
        )
        height_px, width_px = pixels.shape[1:]
        size_px = (height_px, width_px) if self.geometry is None else self.geometry.a_step_larger(height_px, width_px)
        drawings = (redraw(pixels, number, size_px=size_px) for number in range(num_drawings))
        found = [self._find(drawing, search) for drawing in drawings]
        ranked = found[0] if num_drawings == 1 else vote(found)
        return [hypotheses[:num_best] for hypotheses in ranked]

    def _rescores(self, num_beams: int) -> bool:
        return num_beams > 1 and self.backward_start_id is not None

    def _find(self, pixels: Pixels, search: Search) -> list[list[Hypothesis]]:
        encoded = self.encode(pixels)
        if search.num_beams == 1:
            return greedy_search(self.decoder, encoded, search)
        found = beam_search(self.decoder, encoded, search)
        if self.backward_start_id is None:
            return found
        return rescore(self.decoder, encoded, found, start_id=self.backward_start_id, end_id=self.end_id)


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model folder, opened for inference."""

    inference: InferenceModel
    texts: Callable[[Sequence[list[int]]], list[str]]  # token ids to text
    geometry: Geometry  # the canvas that the model was trained on
    manifest: Manifest
    # fits a whole image to the canvas, both uint8 [height, width]; None: images are traced, and drawn like ink
    resize: Callable[[Pixels], Pixels] | None = None
