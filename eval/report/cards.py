"""What is shown of one sample: the ink, both formulas as they are set, and the edits between them."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from rapidfuzz.distance import Levenshtein

from latexify.eval.metrics.confusion import count_confusions
from latexify.eval.metrics.slices import length_of
from latexify.eval.metrics.typeset import TypesetFormula, Typesetter
from latexify.pipeline.latex import tokenize

Pair = tuple[str | None, str | None]
"""A token of the reference and what was read instead; None stands for nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of LaTeX source; `mark` is `same`, `missing` (not read) or `wrong` (read, but not there)."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One sample. picture: a data URI. pairs: numbers of the confusions it has, of those that were asked for."""

    key: str
    reference: str
    prediction: str
    picture: str
    width_px: int
    height_px: int
    wanted: TypesetFormula
    given: TypesetFormula
    reference_pieces: Sequence[Piece]
    prediction_pieces: Sequence[Piece]
    num_errors: int
    num_symbols: int
    confidence: float
    visual: float | None
    length: str
    source: str
    writer: str | None
    structures: Sequence[str]
    pairs: Sequence[int]

    @property
    def verdict(self) -> str:
        """`right`; `alike` where it only looks right; `close` with one mistake; else `wrong`."""
        if self.num_errors == 0:
            return "right"
        if self.visual == 1.0:
            return "alike"
        return "close" if self.num_errors == 1 else "wrong"


def make_card(
    record: Mapping[str, Any],
    pixels: npt.NDArray[np.uint8],
    *,
    typesetter: Typesetter,
    confusions: Mapping[Pair, int],
) -> Card:
    """A card of one sample.

    record: a row of predictions.parquet and of the samples.parquet of ``latexify score`` together. pixels: uint8
    [height, width], 0 = ink. confusions: the pairs to look for, each with its number.
    """
    reference, prediction = record["reference"], record["prediction"]
    reference_pieces, prediction_pieces = mark_differences(reference, prediction)
    found = count_confusions([reference], [prediction]).pairs
    return Card(
        key=record["key"],
        reference=reference,
        prediction=prediction,
        picture=picture(pixels),
        width_px=pixels.shape[1],
        height_px=pixels.shape[0],
        wanted=typesetter.draw(reference),
        given=typesetter.draw(prediction),
        reference_pieces=reference_pieces,
        prediction_pieces=prediction_pieces,
        num_errors=record["symbol_errors"],
        num_symbols=record["num_symbols"],
        confidence=record["confidence"],
        visual=record.get("visual"),
        length=length_of(record["num_symbols"]),
        source=record["source"],
        writer=record["writer"],
        structures=record["structures"],
        pairs=sorted(confusions[pair] for pair in found if pair in confusions),
    )


def mark_differences(reference: str, prediction: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts cut where they differ, along a shortest sequence of token edits; joined they read as they were."""
    wanted, given = tokenize(reference), tokenize(prediction)
    in_reference, in_prediction = [], []
    for operation in Levenshtein.opcodes(wanted, given):
        same = operation.tag == "equal"
        left = "".join(wanted[operation.src_start : operation.src_end])
        right = "".join(given[operation.dest_start : operation.dest_end])
        if left:
            in_reference.append(Piece(text=left, mark="same" if same else "missing"))
        if right:
            in_prediction.append(Piece(text=right, mark="same" if same else "wrong"))
    return in_reference, in_prediction


def picture(pixels: npt.NDArray[np.uint8]) -> str:
    """A data URI of a PNG in 16 shades: half the bytes of 256, and no eye sees it. pixels: uint8 [height, width]."""
    shades = ((pixels.astype(np.uint16) * 15 + 127) // 255).astype(np.uint8)
    image = Image.fromarray(shades)
    image.putpalette([shade * 17 for shade in range(16) for _ in "rgb"])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, bits=4)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
