"""Pieces of a mask that hang together, found by their runs of pixels in every row."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Pieces of a mask of `shape`, eight neighbours to a pixel.

    rows, starts, ends: int64 [num_runs], where each run of pixels lies (the end is behind its last pixel).
    labels: int64 [num_runs], the piece of each, 0 to count - 1. areas: int64 [count], in pixels.
    """

    shape: tuple[int, int]
    rows: Integers
    starts: Integers
    ends: Integers
    labels: Integers
    areas: Integers

    @property
    def count(self) -> int:
        """Number of pieces."""
        return len(self.areas)

    @property
    def boxes(self) -> Integers:
        """int64 [count, 4]: top, left, bottom, right of each; the last two are behind its last pixel."""
        boxes = np.empty((self.count, 4), np.int64)
        boxes[:, :2], boxes[:, 2:] = np.iinfo(np.int64).max, 0
        np.minimum.at(boxes[:, 0], self.labels, self.rows)
        np.minimum.at(boxes[:, 1], self.labels, self.starts)
        np.maximum.at(boxes[:, 2], self.labels, self.rows + 1)
        np.maximum.at(boxes[:, 3], self.labels, self.ends)
        return boxes

    def peaks(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The largest value on each piece: float32 [count]. values: float32 of `shape`."""
        lengths = self.ends - self.starts
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        columns = np.repeat(self.starts, lengths) + within
        peaks = np.full(self.count, -np.inf, np.float32)
        np.maximum.at(peaks, np.repeat(self.labels, lengths), values[np.repeat(self.rows, lengths), columns])
        return peaks

    def having(self, wanted: Mask) -> "Components":
        """Only the pieces marked."""
        runs = wanted[self.labels]
        numbers = np.cumsum(wanted) - 1
        return Components(
            shape=self.shape,
            rows=self.rows[runs],
            starts=self.starts[runs],
            ends=self.ends[runs],
            labels=numbers[self.labels[runs]],
            areas=self.areas[wanted],
        )

    def mask(self) -> Mask:
        """The pieces, bool, cropped to them."""
        top, bottom = int(self.rows.min()), int(self.rows.max()) + 1
        left, right = int(self.starts.min()), int(self.ends.max())
        changes = np.zeros((bottom - top, right - left + 1), np.int8)
        changes[self.rows - top, self.starts - left] = 1
        changes[self.rows - top, self.ends - left] = -1
        return np.cumsum(changes, axis=1, dtype=np.int8)[:, :-1] > 0

    def stroke_width(self) -> float:
        """Width of the strokes in pixels: their area over half the length of their outline.

        A straight line's outline crosses 4/pi as many edges of pixels as it is long, on the average over directions.
        """
        mask = np.pad(self.mask(), 1)
        crossed = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
        return float(2 * self.areas.sum() / (crossed * np.pi / 4))


def label_components(mask: Mask) -> Components:
    """The pieces of a mask, bool [height, width]."""
    padded = np.pad(mask, ((0, 0), (1, 1)))
    rows, edges = np.nonzero(padded[:, 1:] != padded[:, :-1])
    rows, starts, ends = rows[::2], edges[::2], edges[1::2]
    upper, lower = _touching(rows, starts, ends, width=mask.shape[1])
    labels = _joined(len(rows), upper, lower)
    areas = np.bincount(labels, weights=ends - starts).astype(np.int64) if len(rows) else np.empty(0, np.int64)
    height, width = mask.shape
    return Components(shape=(height, width), rows=rows, starts=starts, ends=ends, labels=labels, areas=areas)


def _touching(rows: Integers, starts: Integers, ends: Integers, *, width: int) -> tuple[Integers, Integers]:
    """Pairs of runs, one directly above the other or across a corner."""
    pitch = width + 2
    # the runs of the row below, from the first that ends at or behind our start to the last that starts before our end
    below = (rows + 1) * pitch
    first = np.searchsorted(rows * pitch + ends, below + starts, side="left")
    last = np.searchsorted(rows * pitch + starts, below + ends, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(rows)), counts)
    lower = np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    return upper, lower


def _joined(count: int, upper: Integers, lower: Integers) -> Integers:
    """Number the groups that pairs join: int64 [count], from 0, in the order of their first members."""
    parents = np.arange(count)
    while True:
        a, b = parents[upper], parents[lower]
        apart = a != b
        if not apart.any():
            break
        np.minimum.at(parents, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
        while not np.array_equal(parents, parents[parents]):
            parents = parents[parents]
    return np.unique(parents, return_inverse=True)[1]
