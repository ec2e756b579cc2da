"""Several drawings of one picture, slanted, stretched or turned a little, whose answers vote.

What a model misreads often depends on chance details of a drawing; what it reads in most drawings is more often right.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from latexify.trainer.inference.runtime import Pixels
from latexify.trainer.inference.search import Hypothesis

PAPER = 255
INK = 192
"""Pixels darker than this are ink; antialiasing and noise of the paper are not."""
MARGIN_PX = 1.0
_TURN = np.deg2rad(2.5)
_COS, _SIN = float(np.cos(_TURN)), float(np.sin(_TURN))

DRAWINGS: tuple[tuple[tuple[float, float], tuple[float, float]], ...] = (
    ((1.0, 0.0), (0.0, 1.0)),
    ((1.0, 0.12), (0.0, 1.0)),
    ((1.0, -0.12), (0.0, 1.0)),
    ((1.12, 0.0), (0.0, 1.0)),
    ((0.89, 0.0), (0.0, 1.0)),
    ((_COS, -_SIN), (_SIN, _COS)),
    ((_COS, _SIN), (-_SIN, _COS)),
)
"""Maps of x to the right and y downward, rows of a matrix. The first is the picture as it is."""


def redraw(pixels: Pixels, number: int, *, size_px: tuple[int, int]) -> Pixels:
    """Return drawing `number` of pictures, the ink in the middle and no larger than the drawing holds.

    A picture that is cut to its ink has no room for a slant: unless its drawing may be larger, the ink has to shrink.

    Args:
        pixels: uint8 [n, height, width], ink 0, paper 255.
        number: Of `DRAWINGS`; 0 is the picture as it is.
        size_px: Height and width of the other drawings.

    Returns:
        uint8 [n, height, width], of the size of the pictures or of the drawings.
    """
    if number == 0:
        return pixels
    return np.stack([_warp(picture, np.array(DRAWINGS[number]), size_px) for picture in pixels])


def _warp(
    picture: npt.NDArray[np.uint8], forward: npt.NDArray[np.float64], size_px: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    height, width = size_px
    rows, columns = np.nonzero(picture < INK)
    if not len(rows):
        return np.full(size_px, PAPER, np.uint8)
    low, high = np.array([columns.min(), rows.min()]), np.array([columns.max(), rows.max()]) + 1
    half = np.abs(forward) @ ((high - low) / 2)
    room = np.array([width, height]) / 2 - MARGIN_PX
    backward = np.linalg.inv(forward * min(1.0, float((room / half).min())))
    # Pillow asks where each pixel of the result comes from
    offset = (low + high) / 2 - backward @ (np.array([width, height]) / 2)
    coefficients = (*backward[0], offset[0], *backward[1], offset[1])
    image = Image.fromarray(picture).transform(
        (width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR, fillcolor=PAPER
    )
    return np.asarray(image)


def vote(found: Sequence[Sequence[Sequence[Hypothesis]]]) -> list[list[Hypothesis]]:
    """Join the hypotheses of several drawings of each picture, best first.

    The probability of a sequence is the mean of its probabilities over all drawings, 0 where it was not found; the
    confidence is the geometric mean of the probabilities of its tokens that this amounts to. Sequences that did not
    finish come last.

    found: for each drawing, the hypotheses of every picture.
    """
    return [_vote([of_drawing[sample] for of_drawing in found]) for sample in range(len(found[0]))]


def _vote(found: Sequence[Sequence[Hypothesis]]) -> list[Hypothesis]:
    ballots: dict[tuple[int, ...], list[Hypothesis]] = {}
    for hypothesis in (each for of_drawing in found for each in of_drawing):
        ballots.setdefault(tuple(hypothesis.ids), []).append(hypothesis)
    ranked = []
    for ids, votes in ballots.items():
        count = len(ids) + 1  # the end token included
        probability = sum(each.confidence**count for each in votes) / len(found)
        finished = any(each.finished for each in votes)
        hypothesis = Hypothesis(ids=list(ids), confidence=probability ** (1 / count), finished=finished)
        ranked.append((finished, probability, hypothesis))
    ranked.sort(key=lambda entry: entry[:2], reverse=True)
    return [hypothesis for _, _, hypothesis in ranked]
