"""Samples to tensors: stacked pictures and padded labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from latexify.shards.format.sample import Sample

IGNORE_INDEX = -100
"""Label of a padded position, left out of the loss; the default of `torch.nn.functional.cross_entropy`."""


def collate(samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack samples: pixels uint8 [n, height, width] and labels int64 [n, longest], padded with `IGNORE_INDEX`."""
    labels = pad_labels([sample.token_ids for sample in samples])
    return torch.from_numpy(np.stack([sample.pixels for sample in samples])), labels


def pad_labels(token_ids: Sequence[npt.NDArray[np.int32]]) -> torch.Tensor:
    """Stack token ids, int32 [num_tokens] each: int64 [n, longest], padded with `IGNORE_INDEX`."""
    labels = np.full((len(token_ids), max(map(len, token_ids))), IGNORE_INDEX, dtype=np.int64)
    for row, ids in zip(labels, token_ids, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(labels)
