"""Which samples a person should see, and how their mistakes are shown."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from rapidfuzz.distance import Levenshtein

from eval.metrics import Edits
from pipeline.latex import tokenize


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of LaTeX source; `mark` is `same`, `missing` (not read) or `wrong` (read, but not there)."""

    text: str
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Rows of the samples to show, in the order to show them."""

    worst: list[int]
    random: list[int]
    best: list[int]


def choose(edits: Edits, confidence: npt.NDArray[np.float32], keys: Sequence[str], *, num: int, seed: int) -> Groups:
    """At most `num` samples of each group.

    worst: most character edits per reference character, the more confident first among equals. best: fewest, and among
    equals the longest, since a long formula read without mistake says more than a short one. random: a fair sample.
    """
    rate = edits.char_errors / np.maximum(edits.num_chars, 1)
    rows = range(len(keys))
    worst = sorted(rows, key=lambda row: (-rate[row], -confidence[row], keys[row]))
    best = sorted(rows, key=lambda row: (rate[row], -edits.num_symbols[row], keys[row]))
    drawn = np.random.default_rng(seed).choice(len(keys), size=min(num, len(keys)), replace=False)
    return Groups(worst=worst[:num], random=drawn.tolist(), best=best[:num])


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
    """A data URI of a PNG. pixels: uint8 [height, width], 0 = ink, 255 = paper."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
