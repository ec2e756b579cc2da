"""Reliability of confidences: the diagram's bins and the expected calibration error."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

NUM_BINS = 10
ALTERNATIVES = "alternatives"
"""Kind of confidence: that of an answer's alternatives, in reliability.csv and as a column of predictions.parquet."""
Z_95 = 1.959963985  # quantile of the normal distribution for 95 % intervals

ConfidenceBin = dict[str, Any]
"""A row of reliability.csv: predictions whose confidence lies in (from, to]; the first bin includes its `from`.

mean_confidence: of these num_samples. right: the share that is right; right_low, right_high: its 95 % interval
(Wilson 1927).
"""


def reliability(confidences: npt.ArrayLike, is_right: npt.ArrayLike) -> list[ConfidenceBin]:
    """Sort predictions into bins of equal width, and return the bins that are not empty.

    Args:
        confidences: From 0 to 1, [num_samples].
        is_right: Whether each prediction is right, bool [num_samples].
    """
    confidence, right = np.asarray(confidences, np.float64), np.asarray(is_right, np.bool_)
    bins = _bins_of(confidence)
    return [_bin(i, confidence[bins == i], right[bins == i]) for i in range(NUM_BINS) if (bins == i).any()]


def _bins_of(confidence: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.clip(np.ceil(confidence * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)


def chance_error(confidences: npt.ArrayLike, *, num_resamples: int, seed: int) -> float:
    """Return the calibration error that confidences would have on average if they were exactly true.

    Shares of few predictions are never exactly their confidence, so the error of a perfect calibration is not 0: with
    some hundred predictions it is a few percent.

    Args:
        confidences: From 0 to 1, [num_samples].
        num_resamples: How often it is drawn which predictions are right.
        seed: Seed of these draws.
    """
    confidence = np.asarray(confidences, np.float64)
    in_bin = np.eye(NUM_BINS)[_bins_of(confidence)]
    expected = confidence @ in_bin
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    errors = [
        np.abs((random.random(len(confidence)) < confidence) @ in_bin - expected).sum() / len(confidence)
        for _ in range(num_resamples)
    ]
    return float(np.mean(errors))


def _bin(index: int, confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> ConfidenceBin:
    count, share = len(confidence), float(right.mean())
    middle = (share + Z_95**2 / (2 * count)) / (1 + Z_95**2 / count)
    reach = Z_95 / (1 + Z_95**2 / count) * math.sqrt(share * (1 - share) / count + Z_95**2 / (4 * count**2))
    return {
        "from": index / NUM_BINS,
        "to": (index + 1) / NUM_BINS,
        "num_samples": count,
        "mean_confidence": float(confidence.mean()),
        "right": share,
        "right_low": max(0.0, middle - reach),
        "right_high": min(1.0, middle + reach),
    }


def expected_error(calibration: Mapping[str, Any]) -> float:
    """Return the expected calibration error from the `calibration` of a score; old files call it `error`."""
    return float(calibration["ece"] if "ece" in calibration else calibration["error"])


def calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """Compute the expected calibration error: the mean over samples of |share right - mean confidence| of their bin."""
    total = sum(one["num_samples"] for one in bins)
    return float(sum(one["num_samples"] * abs(one["right"] - one["mean_confidence"]) for one in bins) / total)
