"""Labels from right to left: some of those that a model learns, so that it can judge its own hypotheses backward.

A sequence from left to right begins with the end token, as TrOCR was trained, one from right to left with the start
token, which nothing else uses. Both end with the end token. After Zhao et al. 2021 (BTTR).
"""

import numpy as np
import numpy.typing as npt
import torch

from latexify.trainer.data.collate import IGNORE_INDEX
from latexify.trainer.data.counters import random_bits


def choose_reversed(
    rows: npt.NDArray[np.int64], *, fraction: float, seed: int, visits: npt.NDArray[np.int64]
) -> torch.Tensor:
    """Choose the samples whose labels are reversed, from (seed, visit, row) alone: bool [batch].

    rows: of the split's index, [batch]. visits: how often each was drawn before, [batch].
    """
    bits = random_bits(rows, 1, key=(seed, 2), visits=visits)[:, 0]
    return torch.from_numpy(bits < fraction * 2.0**64)


def reverse_labels(labels: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Reverse the chosen labels up to their end token, which stays at the end.

    Args:
        labels: int64 [batch, longest], padded with `IGNORE_INDEX`.
        chosen: bool [batch].

    Returns:
        New labels of the same shape.
    """
    position = torch.arange(labels.shape[1])[None]
    last = (labels != IGNORE_INDEX).sum(dim=1, keepdim=True) - 1  # where the end token is
    source = torch.where(chosen[:, None] & (position < last), last - 1 - position, position)
    return labels.gather(1, source)
