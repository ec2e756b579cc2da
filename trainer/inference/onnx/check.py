"""Check that the graphs of an exported model compute what torch computes."""

from dataclasses import dataclass

import numpy as np

from latexify.common.errors import LatexifyError
from latexify.trainer.inference.model import InferenceModel
from latexify.trainer.inference.runtime import Pixels
from latexify.trainer.model.canvas import Geometry

NUM_PICTURES = 6
NUM_BEAMS = 3
NUM_STEPS = 40
"""More than torch's cache has room for at first."""
BLOT_PX = 4
"""Side of the black and white squares that random pictures consist of."""
TOLERANCE = 1e-3
"""Relative to the largest logit (or to 1); float32 in another order gives about 1e-5."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How two models compare.

    `num_other` of the `num_tokens` most likely next tokens differ although the expected model prefers its own by more
    than the tolerance.
    """

    difference: float  # largest of any logit
    largest: float  # absolute logit
    num_tokens: int
    num_other: int
    num_steps: int

    @property
    def tolerance(self) -> float:
        """How far logits may differ."""
        return TOLERANCE * max(1.0, self.largest)

    @property
    def is_equal(self) -> bool:
        """Whether all logits agree within the tolerance, and all tokens except ties are the same."""
        return self.difference <= self.tolerance and self.num_other == 0

    def require_equal(self) -> None:
        """Raise LatexifyError unless they are equal."""
        if not self.is_equal:
            raise LatexifyError(
                f"the exported graphs do not compute what torch does (logits differ by {self.difference:.2g}, "
                f"{self.tolerance:.2g} is allowed; {self.num_other} of {self.num_tokens} tokens differ): "
                "nothing was written"
            )

    def __str__(self) -> str:
        return (
            f"equal to torch: logits of up to {self.largest:.3g} differ by at most {self.difference:.1e} on "
            f"{NUM_PICTURES} random pictures, {self.num_steps} steps with {NUM_BEAMS} beams each; "
            f"all {self.num_tokens} tokens are the same"
        )


def compare(expected: InferenceModel, actual: InferenceModel, *, geometry: Geometry) -> Comparison:
    """Run both on random pictures with the same tokens, while beams are reordered and a sample leaves the batch.

    Both are on the CPU and read pictures of this geometry.
    """
    pixels = _random_pictures(geometry)
    decoders = (expected.decoder, actual.decoder)
    caches = [model.decoder.start(model.encode(pixels)) for model in (expected, actual)]
    num_steps = min(NUM_STEPS, expected.decoder.max_positions - 1)
    tokens = np.full(NUM_PICTURES, expected.start_id)
    difference = largest = 0.0
    num_tokens = num_other = 0
    for step in range(num_steps):
        logits, others = (
            np.asarray(decoder.step(cache, tokens)) for decoder, cache in zip(decoders, caches, strict=True)
        )
        difference = max(difference, float(np.abs(logits - others).max()))
        largest = max(largest, float(np.abs(logits).max()))
        chosen = others.argmax(axis=1)
        lead = logits.max(axis=1) - np.take_along_axis(logits, chosen[:, None], axis=1)[:, 0]
        num_tokens += len(tokens)
        num_other += int((lead > TOLERANCE * max(1.0, largest)).sum())
        if step == 0:  # a beam for each of the most likely tokens of each picture
            tokens = np.argsort(-logits, axis=1, kind="stable")[:, :NUM_BEAMS].ravel()
            rows = np.repeat(np.arange(NUM_PICTURES), NUM_BEAMS)
        else:
            # beams rotate within their picture, and half-way the first picture leaves
            rows_of_picture = np.roll(np.arange(len(tokens)).reshape(-1, NUM_BEAMS), step % NUM_BEAMS, axis=1)
            rows = (rows_of_picture[1:] if step == NUM_STEPS // 2 else rows_of_picture).ravel()
            tokens = logits.argmax(axis=1)[rows]
        for cache in caches:
            if step == NUM_STEPS // 2:
                cache.keep_samples(np.arange(1, NUM_PICTURES), rows=rows)
            else:
                cache.keep_rows(rows)
    return Comparison(
        difference=difference, largest=largest, num_tokens=num_tokens, num_other=num_other, num_steps=num_steps
    )


def _random_pictures(geometry: Geometry) -> Pixels:
    """uint8 [NUM_PICTURES, height, width], always the same."""
    shape = (NUM_PICTURES, -(-geometry.height_px // BLOT_PX), -(-geometry.width_px // BLOT_PX))
    blots = np.random.Generator(np.random.Philox(1)).integers(0, 2, shape, np.uint8) * 255
    pictures = blots.repeat(BLOT_PX, axis=1).repeat(BLOT_PX, axis=2)
    return np.ascontiguousarray(pictures[:, : geometry.height_px, : geometry.width_px])
