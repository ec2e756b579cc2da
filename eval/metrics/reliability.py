"""Reliability of confidences: the diagram's bins and the expected calibration error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NUM_BINS = 10
Z_95 = 1.959963985
"""Quantile of the normal distribution for 95 % intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBin:
    """Predictions whose confidence lies in (begin, end]; the first bin includes its begin.

    confidence: their mean confidence. right: the share that is right; low, high: its 95 % interval (Wilson 1927).
    """

    begin: float
    end: float
    num_samples: int
    confidence: float
    right: float
    low: float
    high: float


def reliability(confidences: npt.ArrayLike, is_right: npt.ArrayLike) -> list[ConfidenceBin]:
    """Sort predictions into bins of equal width, and return the bins that are not empty.

    Args:
        confidences: From 0 to 1, [num_samples].
        is_right: Whether each prediction is right, bool [num_samples].
    """
    confidence, right = np.asarray(confidences, np.float64), np.asarray(is_right, np.bool_)
    bins = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    return [_bin(i, confidence[bins == i], right[bins == i]) for i in range(NUM_BINS) if (bins == i).any()]


def _bin(index: int, confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> ConfidenceBin:
    count, share = len(confidence), float(right.mean())
    middle = (share + Z_95**2 / (2 * count)) / (1 + Z_95**2 / count)
    reach = Z_95 / (1 + Z_95**2 / count) * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    return ConfidenceBin(
        begin=index / NUM_BINS,
        end=(index + 1) / NUM_BINS,
        num_samples=count,
        confidence=float(confidence.mean()),
        right=share,
        low=max(0.0, middle - reach),
        high=min(1.0, middle + reach),
    )


def calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """Compute the expected calibration error: the mean over samples of |share right - mean confidence| of their bin."""
    total = sum(one.num_samples for one in bins)
    return sum(one.num_samples * abs(one.right - one.confidence) for one in bins) / total


def reliability_rows(bins: Sequence[ConfidenceBin], *, confidence: str) -> list[dict[str, Any]]:
    """Build rows of reliability.csv; `confidence` is `calibrated` or `raw`."""
    return [
        {
            "confidence": confidence,
            "from": one.begin,
            "to": one.end,
            "num_samples": one.num_samples,
            "mean_confidence": one.confidence,
            "right": one.right,
            "right_low": one.low,
            "right_high": one.high,
        }
        for one in bins
    ]
