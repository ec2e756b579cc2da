"""Inks and rejections."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt

SPLITS = ("train", "valid", "test")


def dataset_of(key: str) -> str:
    """Return the dataset of an ink or sample among those of several datasets: its key begins with the name."""
    return key.partition("/")[0]


Stroke = npt.NDArray[np.float32]
"""The points between pen-down and pen-up: float32 [num_points, 2], x to the right, y downward, in the file's units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CroppedPicture:
    """A picture that is not traced: cropped to its ink, on paper."""

    png: bytes  # 8-bit grey, 0 = ink, 255 = paper
    usual_stroke_px: float | None  # median longer side of its connected pieces of ink; None if all are dots


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """One handwritten formula."""

    key: str  # unique within the dataset: the path inside the source without its suffix
    split: str
    label: str  # as it is in the file
    normalized_label: str  # as `latexify.pipeline.latex.normalize` writes it
    strokes: list[Stroke]  # in writing order, each of at least one point, all finite
    writer: str | None  # None if unknown
    source: str  # archive or folder, and the path in it
    stroke_scale: float = 1.0  # factor of the canvas's largest stroke, other than 1 for traced pictures
    picture: CroppedPicture | None = None  # instead of strokes, if it is a picture that is not traced


@dataclass(frozen=True, slots=True, kw_only=True)
class StrokeColumns:
    """The strokes of many inks, concatenated."""

    points: npt.NDArray[np.float32]  # [num_points, 2]
    stroke_lengths: npt.NDArray[np.int32]  # number of points of each stroke, at least one; [num_strokes]
    num_strokes: npt.NDArray[np.int32]  # of each ink, [num_inks]

    @classmethod
    def of(cls, inks: Sequence[Sequence[Stroke]]) -> Self:
        """Concatenate the strokes of inks."""
        strokes = [stroke for ink in inks for stroke in ink]
        return cls(
            points=np.concatenate([np.empty((0, 2), np.float32), *strokes]).astype(np.float32, copy=False),
            stroke_lengths=np.array([len(stroke) for stroke in strokes], np.int32),
            num_strokes=np.array([len(ink) for ink in inks], np.int32),
        )

    @classmethod
    def without_strokes(cls, num_inks: int) -> Self:
        """Return columns of inks without strokes."""
        return cls.of([[]] * num_inks)

    @classmethod
    def concatenate(cls, pieces: Sequence[Self]) -> Self:
        """Concatenate columns."""
        pieces = [cls.without_strokes(0), *pieces]
        return cls(
            points=np.concatenate([piece.points for piece in pieces]),
            stroke_lengths=np.concatenate([piece.stroke_lengths for piece in pieces]),
            num_strokes=np.concatenate([piece.num_strokes for piece in pieces]),
        )

    @property
    def num_points(self) -> npt.NDArray[np.int32]:
        """Return the number of points of each ink, int32 [num_inks]."""
        total = np.zeros(len(self.stroke_lengths) + 1, np.int32)
        np.cumsum(self.stroke_lengths, out=total[1:])
        return np.diff(total[np.cumsum(self.num_strokes)], prepend=np.int32(0))

    def take(self, inks: npt.NDArray[np.bool_]) -> Self:
        """Return the columns of the inks marked, bool [num_inks]."""
        if inks.all():
            return self
        stroke_is_taken = np.repeat(inks, self.num_strokes)
        return type(self)(
            points=self.points[np.repeat(stroke_is_taken, self.stroke_lengths)],
            stroke_lengths=self.stroke_lengths[stroke_is_taken],
            num_strokes=self.num_strokes[inks],
        )

    def strokes(self) -> list[Stroke]:
        """Return all strokes as views."""
        return list(np.split(self.points, np.cumsum(self.stroke_lengths)[:-1])) if len(self.stroke_lengths) else []


class Reason(StrEnum):
    """Why an input did not become an ink."""

    EMPTY_FILE = "empty-file"
    MALFORMED_XML = "malformed-xml"
    HOSTILE_XML = "hostile-xml"
    TOO_LARGE = "too-large"
    NOT_INKML = "not-inkml"
    UNSUPPORTED_INKML = "unsupported-inkml"
    CONTRADICTORY_INKML = "contradictory-inkml"
    MALFORMED_JSON = "malformed-json"
    UNKNOWN_FORMAT = "unknown-format"
    FILLED_OUTLINE = "filled-outline"
    NOT_PICTURE = "not-a-picture"
    DAMAGED_PICTURE = "damaged-picture"
    UNSUPPORTED_PICTURE = "unsupported-picture"
    BLANK_PICTURE = "blank-picture"
    NESTED_ARCHIVE = "nested-archive"
    NO_STROKES = "no-strokes"
    BAD_POINTS = "bad-points"
    NO_LABEL = "no-label"
    BAD_LABEL = "bad-label"
    BAD_ROW = "bad-row"
    NO_PICTURE = "no-picture"
    CONTRADICTORY_LABEL = "contradictory-label"
    NO_SPLIT = "no-split"
    DUPLICATE_ROW = "duplicate-row"
    DUPLICATE_KEY = "duplicate-key"
    DUPLICATE_INK = "duplicate-ink"
    LEAKED_INK = "leaked-ink"
    LONG_LABEL = "long-label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An input that did not become an ink. `reason` is counted; `detail` describes the problem."""

    key: str
    source: str
    reason: Reason
    detail: str
