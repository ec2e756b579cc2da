"""The data that flows through the offline half: inks, rejections, and their Parquet schema."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SPLITS = ("train", "valid", "test")

Stroke = npt.NDArray[np.float32]
"""One pen-down to pen-up movement: float32 [num_points, 2], x to the right, y downward, in the units of its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ink:
    """One handwritten expression.

    key: unique within the dataset; the path inside the source without its suffix.
    strokes: in writing order, each float32 [num_points, 2] with num_points >= 1, all finite.
    label: as found in the file; normalized_label: as `pipeline.latex` writes it; `writer`: None where unknown.
    source: archive or folder, and the path in it.
    """

    key: str
    split: str
    label: str
    normalized_label: str
    strokes: list[Stroke]
    writer: str | None
    source: str


class Reason(StrEnum):
    """Why an input did not become an ink."""

    EMPTY_FILE = "empty-file"
    MALFORMED_XML = "malformed-xml"
    HOSTILE_XML = "hostile-xml"
    TOO_LARGE = "too-large"
    NOT_INKML = "not-inkml"
    NO_STROKES = "no-strokes"
    BAD_POINTS = "bad-points"
    NO_LABEL = "no-label"
    BAD_LABEL = "bad-label"
    NO_SPLIT = "no-split"
    DUPLICATE_KEY = "duplicate-key"
    DUPLICATE_INK = "duplicate-ink"
    LEAKED_INK = "leaked-ink"
    LONG_LABEL = "long-label"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One input that did not become an ink: `reason` is counted, `detail` says what exactly was wrong."""

    key: str
    source: str
    reason: Reason
    detail: str


INK_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("normalized_label", pa.string(), nullable=False),
        # x and y interleaved, all strokes of the ink one after another
        pa.field("points", pa.list_(pa.field("item", pa.float32(), nullable=False)), nullable=False),
        # number of points of each stroke, in writing order
        pa.field("stroke_lengths", pa.list_(pa.field("item", pa.int32(), nullable=False)), nullable=False),
        pa.field("writer", pa.string()),
        pa.field("source", pa.string(), nullable=False),
        # SHA-256 of stroke lengths and points without repeated ones, first 32 hex digits: `catalogue.content_hash`
        pa.field("content_hash", pa.string(), nullable=False),
        pa.field("num_strokes", pa.int32(), nullable=False),
        pa.field("num_points", pa.int32(), nullable=False),
    ]
)

REJECT_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
    ]
)
