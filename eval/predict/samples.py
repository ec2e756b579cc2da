"""The samples that a model predicts: pictures with their labels, from shards or from elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from latexify.shards.format.index import SplitIndex
from latexify.shards.reading.reader import SampleReader

Rows = Sequence[int] | npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSample:
    """One picture and what is written on it."""

    key: str
    label: str  # as found
    reference: str  # normalised label
    pixels: npt.NDArray[np.uint8]  # [height, width], 0 = ink, 255 = paper


class EvaluationSamples(Protocol):
    """Samples by row. Only the thread that iterates over predictions reads them."""

    @property
    def num_tokens(self) -> npt.NDArray[np.int32]:
        """Length of each reference in tokens, int32 [num_samples]; those of similar length share a batch."""

    @property
    def sizes_px(self) -> npt.NDArray[np.int32]:
        """Height and width of each picture, int32 [num_samples, 2]; those of one size share a batch."""

    def read(self, rows: Rows) -> list[EvaluationSample]:
        """Read samples of one size, in the order given. Raises LatexifyError if one cannot be read."""


class ShardSamples:
    """The samples of one split of the shards. Use it as a context manager; not thread-safe."""

    def __init__(self, index: SplitIndex) -> None:
        self._index = index
        self._reader = SampleReader(index)

    @property
    def num_tokens(self) -> npt.NDArray[np.int32]:
        """See `EvaluationSamples`."""
        return self._index.num_tokens

    @property
    def sizes_px(self) -> npt.NDArray[np.int32]:
        """See `EvaluationSamples`."""
        return self._index.sizes_px

    def read(self, rows: Rows) -> list[EvaluationSample]:
        """See `EvaluationSamples`."""
        return [
            EvaluationSample(key=sample.key, label=description["label"], reference=sample.label, pixels=sample.pixels)
            for sample, description in zip(self._reader.read(rows), self._reader.describe(rows), strict=True)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
