"""What is known of one ink, sample or rejection, wherever it lies; and a collection of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.latex import tokenize

Picture = npt.NDArray[np.uint8]
"""uint8 [height, width], 0 = ink, 255 = paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ink, sample or rejection. What a place does not tell is None.

    label: normalised where it can be. num_tokens: LaTeX tokens, or token ids with the end id where `has_ids`.
    extent: width and height in the ink's own units. num_bytes: of the picture. fault: why it was rejected, or cannot
    be read; `reason` is the word that such faults are counted by.
    """

    key: str
    source: str = ""
    split: str | None = None
    label: str | None = None
    num_tokens: int | None = None
    has_ids: bool = False
    extent: tuple[float, float] | None = None
    num_strokes: int | None = None
    num_points: int | None = None
    num_bytes: int | None = None
    reason: str | None = None
    fault: str | None = None


class Collection(Protocol):
    """Entries of one place, and their pictures."""

    @property
    def title(self) -> str:
        """One line: what is there."""

    @property
    def entries(self) -> Sequence[Entry]:
        """All of them, in the order of the place."""

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:
        """A picture of each entry, None where there is none. Inks are drawn on `canvas`, samples are as stored."""


def num_latex_tokens(label: str) -> int:
    """Number of LaTeX tokens of a label, spaces left out."""
    return sum(token != " " for token in tokenize(label))
