"""Labels of a micro-batch as the decoder takes them: in parts of like length, and padded to few shapes to compile."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from latexify.trainer.data.collate import IGNORE_INDEX

MAX_PARTS = 4
MIN_PART = 8
"""Samples of a part at least: smaller matrix products cost more than the padding saved. Not tuned further."""
MIN_WASTE = 0.25
"""Fraction of padding from which a batch is decoded in parts."""
MIN_LENGTH = 16
"""Shortest labels of :func:`pad_to_few_shapes`."""
NUM_FILLINGS = 8
"""Shapes that :func:`pad_to_few_shapes` has for labels of one length, by how many of the slots hold a token."""

Labels = npt.NDArray[np.int64]


class LabelPart(NamedTuple):
    """Samples of a batch that are decoded together; a plain tuple, which torch.compile and DDP can look into."""

    rows: torch.Tensor | None  # which samples, int64 [n]; None for all
    labels: torch.Tensor  # int64 [n, longest], padded with `IGNORE_INDEX`
    places: torch.Tensor  # in the flattened labels, of the tokens that get logits, int64 [places]
    targets: torch.Tensor  # the labels there, int64 [places]; `IGNORE_INDEX` adds nothing
    backward: torch.Tensor | None = None  # which labels run from right to left, bool [n]; None: none do

    def to(self, device: torch.device) -> "LabelPart":
        """Copy to a device; from pinned memory without waiting for it."""
        return LabelPart._make(None if value is None else value.to(device, non_blocking=True) for value in self)

    def pin_memory(self) -> "LabelPart":
        """Copy to page-locked memory."""
        return LabelPart._make(None if value is None else value.pin_memory() for value in self)


def split_labels(labels: torch.Tensor, backward: torch.Tensor | None = None) -> list[LabelPart]:
    """Cut a batch into parts of like length, if much of it is padding.

    Args:
        labels: int64 [batch, longest], on the CPU.
        backward: Which of them run from right to left, bool [batch]; None: none do.

    The encoder of a model with batch norms needs all lengths in a batch. Without parts, the decoder would then spend as
    many steps on a short label as on the longest.
    """
    found = labels.numpy()
    lengths = (found != IGNORE_INDEX).sum(axis=1)
    num_parts = min(MAX_PARTS, len(found) // MIN_PART)
    if num_parts < 2 or lengths.sum() > (1 - MIN_WASTE) * found.size:
        return [whole_batch(labels, backward)]
    parts = []
    for rows in np.array_split(lengths.argsort(kind="stable"), num_parts):
        whole = whole_batch(torch.from_numpy(found[rows, : lengths[rows].max()]))
        chosen = torch.from_numpy(rows)
        parts.append(whole._replace(rows=chosen, backward=None if backward is None else backward[chosen]))
    return parts


def whole_batch(labels: torch.Tensor, backward: torch.Tensor | None = None) -> LabelPart:
    """Return a batch as one part; arguments as for :func:`split_labels`."""
    flat = labels.numpy().reshape(-1)
    places = np.flatnonzero(flat != IGNORE_INDEX)
    targets = torch.from_numpy(flat[places])
    return LabelPart(rows=None, labels=labels, places=torch.from_numpy(places), targets=targets, backward=backward)


def pad_to_few_shapes(parts: Sequence[LabelPart], *, max_length: int) -> list[LabelPart]:
    """Pad labels to one of a few lengths, and the places to one of a few numbers; the loss stays the same.

    Each shape is a recording of its own for CUDA graphs, and odd lengths are slow on tensor cores. Lengths are 16, 24,
    32, 48, 64, 96 and so on, places eighths of all slots.

    Args:
        parts: On the CPU.
        max_length: The longest labels that the decoder has positions for; labels that are longer stay as they are.
    """
    return [_pad(part, length=_few_lengths(part.labels.shape[1], max_length=max_length)) for part in parts]


def _few_lengths(length: int, *, max_length: int) -> int:
    """Return the next power of two, or three quarters of it if that is enough."""
    power = 1 << (max(length, MIN_LENGTH) - 1).bit_length()
    rounded = power * 3 // 4 if MIN_LENGTH < length <= power * 3 // 4 else power
    return max(length, min(rounded, max_length))


def _pad(part: LabelPart, *, length: int) -> LabelPart:
    count, before = part.labels.shape
    row, column = part.places // before, part.places % before
    slots = count * length
    eighths = max(1, -(-len(part.places) * NUM_FILLINGS // slots))
    missing = -(-slots * eighths // NUM_FILLINGS) - len(part.places)
    places = torch.nn.functional.pad(row * length + column, (0, missing))  # the first place, whose target is ignored
    return part._replace(
        labels=_ignored(part.labels, length - before), places=places, targets=_ignored(part.targets, missing)
    )


def _ignored(values: torch.Tensor, count: int) -> torch.Tensor:
    """Add `count` values that the loss ignores to the end of the last axis."""
    return torch.nn.functional.pad(values, (0, count), value=IGNORE_INDEX)
