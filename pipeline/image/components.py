"""Connected components of a mask, kept as their horizontal runs of pixels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedComponents:
    """The connected components of a mask; a pixel has eight neighbours."""

    shape: tuple[int, int]  # height and width of the mask
    rows: Integers  # of each run of pixels, [num_runs]
    starts: Integers  # first column of each run, [num_runs]
    ends: Integers  # column after the last one of each run, [num_runs]
    labels: Integers  # component of each run, [num_runs], 0 to count - 1 in the order of their first runs
    areas: Integers  # pixels of each component, [count]

    @property
    def count(self) -> int:
        """Number of components."""
        return len(self.areas)

    @property
    def boxes(self) -> Integers:
        """Bounding boxes, int64 [count, 4]: top, left, bottom, right; bottom and right are exclusive."""
        boxes = np.empty((self.count, 4), np.int64)
        boxes[:, :2], boxes[:, 2:] = np.iinfo(np.int64).max, 0
        np.minimum.at(boxes[:, 0], self.labels, self.rows)
        np.minimum.at(boxes[:, 1], self.labels, self.starts)
        np.maximum.at(boxes[:, 2], self.labels, self.rows + 1)
        np.maximum.at(boxes[:, 3], self.labels, self.ends)
        return boxes

    def peaks(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the largest of `values`, float32 [height, width], on each component: float32 [count]."""
        lengths = self.ends - self.starts
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        columns = np.repeat(self.starts, lengths) + offsets
        peaks = np.full(self.count, -np.inf, np.float32)
        np.maximum.at(peaks, np.repeat(self.labels, lengths), values[np.repeat(self.rows, lengths), columns])
        return peaks

    def select(self, keep: Mask) -> "ConnectedComponents":
        """Return only the components marked in `keep`, bool [count]."""
        runs = keep[self.labels]
        new_labels = np.cumsum(keep) - 1
        return ConnectedComponents(
            shape=self.shape,
            rows=self.rows[runs],
            starts=self.starts[runs],
            ends=self.ends[runs],
            labels=new_labels[self.labels[runs]],
            areas=self.areas[keep],
        )

    def mask(self) -> Mask:
        """Return the components as a mask that is cropped to them."""
        top, bottom = int(self.rows.min()), int(self.rows.max()) + 1
        left, right = int(self.starts.min()), int(self.ends.max())
        changes = np.zeros((bottom - top, right - left + 1), np.int8)
        changes[self.rows - top, self.starts - left] = 1
        changes[self.rows - top, self.ends - left] = -1
        return np.cumsum(changes, axis=1, dtype=np.int8)[:, :-1] > 0

    def stroke_width(self) -> float:
        """Estimate the width of the strokes in pixels: their area over half the length of their outline.

        A straight line's outline crosses 4/pi times as many pixel edges as it is long, averaged over directions.
        """
        mask = np.pad(self.mask(), 1)
        crossed = np.count_nonzero(mask[1:] != mask[:-1]) + np.count_nonzero(mask[:, 1:] != mask[:, :-1])
        return float(2 * self.areas.sum() / (crossed * np.pi / 4))


def usual_size(components: ConnectedComponents, width_px: float) -> float | None:
    """Return the median longer side of the components, of strokes `width_px` wide, in pixels; None if all are dots.

    The side is that of the pen's course. Connected components are close to what the pen drew in one go.
    """
    boxes = components.boxes
    sizes = np.max(boxes[:, 2:] - boxes[:, :2], axis=1) - width_px
    sizes = sizes[sizes > width_px / 2]
    return float(np.median(sizes)) if len(sizes) else None


def label_components(mask: Mask) -> ConnectedComponents:
    """Find the connected components of a mask, bool [height, width]."""
    padded = np.pad(mask, ((0, 0), (1, 1)))
    rows, edges = np.nonzero(padded[:, 1:] != padded[:, :-1])
    rows, starts, ends = rows[::2], edges[::2], edges[1::2]
    label_image, count = ndimage.label(mask, structure=np.ones((3, 3)))
    labels = label_image[rows, starts].astype(np.int64) - 1
    areas = np.bincount(labels, weights=ends - starts, minlength=count).astype(np.int64)
    height, width = mask.shape
    return ConnectedComponents(shape=(height, width), rows=rows, starts=starts, ends=ends, labels=labels, areas=areas)
