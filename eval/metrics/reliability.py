"""How far confidences are from the share of answers that are right: the reliability diagram and its error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NUM_BINS = 10
Z_95 = 1.959963985
"""Of the normal distribution, for intervals of 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers whose confidence is in (from, to], the first bin's from included.

    confidence: their mean. right: the share that is right; low, high: its 95 % interval (Wilson 1927).
    """

    begin: float
    end: float
    num_samples: int
    confidence: float
    right: float
    low: float
    high: float


def reliability(confidences: npt.ArrayLike, is_right: npt.ArrayLike) -> list[Bin]:
    """The bins of equal width that hold answers. confidences: 0 to 1, [num_samples]; is_right: bool [num_samples]."""
    sure, right = np.asarray(confidences, np.float64), np.asarray(is_right, np.bool_)
    places = np.clip(np.ceil(sure * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
    return [
        _bin(place, sure[places == place], right[places == place])
        for place in range(NUM_BINS)
        if (places == place).any()
    ]


def _bin(place: int, sure: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> Bin:
    count, share = len(sure), float(right.mean())
    middle = (share + Z_95**2 / (2 * count)) / (1 + Z_95**2 / count)
    reach = Z_95 / (1 + Z_95**2 / count) * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    return Bin(
        begin=place / NUM_BINS,
        end=(place + 1) / NUM_BINS,
        num_samples=count,
        confidence=float(sure.mean()),
        right=share,
        low=max(0.0, middle - reach),
        high=min(1.0, middle + reach),
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: how far share and confidence of a bin are apart, in the mean over answers."""
    total = sum(one.num_samples for one in bins)
    return sum(one.num_samples * abs(one.right - one.confidence) for one in bins) / total


def reliability_rows(bins: Sequence[Bin], *, confidence: str) -> list[dict[str, Any]]:
    """Rows of reliability.csv. confidence: which one it is, `calibrated` or `raw`."""
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
