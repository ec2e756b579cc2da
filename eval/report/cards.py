"""Gallery cards: the ink, reference and prediction typeset, and the edits between them."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from rapidfuzz.distance import Levenshtein

from latexify.eval.metrics.confusion import TokenPair, count_confusions
from latexify.eval.metrics.slices import length_of
from latexify.eval.metrics.typeset import TypesetFormula, Typesetter
from latexify.pipeline.latex import tokenize


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedText:
    """A piece of LaTeX source. `mark` is `same`, `missing` (not recognised) or `wrong` (not in the reference)."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One sample."""

    key: str
    reference: str
    prediction: str
    picture: str  # a data URI
    width_px: int
    height_px: int
    typeset_reference: TypesetFormula
    typeset_prediction: TypesetFormula
    marked_reference: Sequence[MarkedText]
    marked_prediction: Sequence[MarkedText]
    num_errors: int
    num_symbols: int
    confidence: float
    visual: float | None
    length: str
    source: str
    writer: str | None
    structures: Sequence[str]
    pairs: Sequence[int]  # numbers of the shown confusions that occur in it

    @property
    def verdict(self) -> str:
        """`right`; `alike` if it is wrong but looks right; `close` with one error; else `wrong`."""
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
    confusions: Mapping[TokenPair, int],
) -> Card:
    """Make the card of one sample, whose picture is uint8 [height, width], 0 = ink.

    `record` joins its rows of predictions.parquet and of the samples.parquet of ``latexify score``. `confusions` are
    those shown in the report, with their numbers.
    """
    reference, prediction = record["reference"], record["prediction"]
    marked_reference, marked_prediction = mark_differences(reference, prediction)
    pairs = count_confusions([reference], [prediction]).pairs
    return Card(
        key=record["key"],
        reference=reference,
        prediction=prediction,
        picture=picture_uri(pixels),
        width_px=pixels.shape[1],
        height_px=pixels.shape[0],
        typeset_reference=typesetter.draw(reference),
        typeset_prediction=typesetter.draw(prediction),
        marked_reference=marked_reference,
        marked_prediction=marked_prediction,
        num_errors=record["symbol_errors"],
        num_symbols=record["num_symbols"],
        confidence=record["confidence"],
        visual=record.get("visual"),
        length=length_of(record["num_symbols"]),
        source=record["source"],
        writer=record["writer"],
        structures=record["structures"],
        pairs=sorted(confusions[pair] for pair in pairs if pair in confusions),
    )


def mark_differences(reference: str, prediction: str) -> tuple[list[MarkedText], list[MarkedText]]:
    """Split both texts where they differ, along a shortest sequence of token edits; nothing of them is lost."""
    tokens, predicted = tokenize(reference), tokenize(prediction)
    in_reference, in_prediction = [], []
    for operation in Levenshtein.opcodes(tokens, predicted):
        is_same = operation.tag == "equal"
        left = "".join(tokens[operation.src_start : operation.src_end])
        right = "".join(predicted[operation.dest_start : operation.dest_end])
        if left:
            in_reference.append(MarkedText(text=left, mark="same" if is_same else "missing"))
        if right:
            in_prediction.append(MarkedText(text=right, mark="same" if is_same else "wrong"))
    return in_reference, in_prediction


def picture_uri(pixels: npt.NDArray[np.uint8]) -> str:
    """Encode pixels (uint8 [height, width]) as a data URI of a PNG in 16 shades, which takes half as much as 256."""
    shades = ((pixels.astype(np.uint16) * 15 + 127) // 255).astype(np.uint8)
    image = Image.fromarray(shades)
    image.putpalette([shade * 17 for shade in range(16) for _ in "rgb"])
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True, bits=4)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
