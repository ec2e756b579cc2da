"""From how probable the model found its answer to how often such answers are right.

The map is Platt's (1999): a line between the log-odds of both, fitted to validation answers. It has two numbers, so a
few hundred answers are enough; it is monotone, so it changes no order; and unlike a temperature alone it can also say
that a model is too sure of everything. Isotonic regression would take thousands of answers for the same, in steps.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.artifacts.files import write_json
from latexify.artifacts.names import CALIBRATE, CALIBRATION_NAME
from latexify.common.errors import LatexifyError

NEAREST = 1e-6
"""How near to 0 and 1 a probability is taken to be, for its log-odds to be finite."""
STEEPEST = 50.0
"""Largest slope: where right and wrong answers are parted as by a step, none is steep enough."""
NUM_ITERATIONS = 100

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The map, `sigmoid(offset + slope * log-odds of the probability)`, and what it was fitted to.

    slope: at least 0. model: fingerprint of the model. num_samples, num_right: answers that it was fitted to, of the
    validation split, greedy. normalizer_version: what right means.
    """

    slope: float
    offset: float
    model: str
    num_samples: int
    num_right: int
    normalizer_version: int

    def confidence(self, probability: float) -> float:
        """The share of answers of this probability (0 to 1) that are right, 0 to 1."""
        near = min(max(probability, NEAREST), 1 - NEAREST)
        return 1 / (1 + math.exp(-self.offset - self.slope * math.log(near / (1 - near))))


def confidence_of(probability: float, *, finished: bool, calibration: Calibration | None) -> float:
    """How sure an answer is, 0 to 1: calibrated where that can be; 0 where the model did not come to an end."""
    if not finished:
        return 0.0
    return probability if calibration is None else calibration.confidence(probability)


def fit_line(probabilities: Sequence[float], is_right: Sequence[bool]) -> tuple[float, float]:
    """Slope and offset that make the answers likeliest, by Newton's method; at least one answer.

    The targets are Platt's, (right + 1) / (right + 2) and 1 / (wrong + 2), in place of 1 and 0: so there is a best
    line also where all answers are right, or all are wrong. A slope below 0 (validation answers that are the more
    often wrong the more probable) is taken for 0: then every answer is as sure as the share of right ones.
    """
    near = np.clip(np.asarray(probabilities, np.float64), NEAREST, 1 - NEAREST)
    odds, right = np.log(near / (1 - near)), np.asarray(is_right, np.bool_)
    num_right = int(right.sum())
    targets = np.where(right, (num_right + 1) / (num_right + 2), 1 / (len(right) - num_right + 2))
    level = math.log(targets.mean() / (1 - targets.mean()))
    slope, offset = _newton(odds, targets, level=level)
    if slope < 0:
        return 0.0, level
    return slope, offset


def _newton(odds: Float64, targets: Float64, *, level: float) -> tuple[float, float]:
    """The line of the largest likelihood, which is concave; steps are halved until they do not lead down."""
    center = float(odds.mean())
    features = np.stack([odds - center, np.ones_like(odds)], axis=1)  # centred, the two hardly depend on each other
    line, best = np.array([0.0, level]), _log_likelihood(features, targets, np.array([0.0, level]))
    for _ in range(NUM_ITERATIONS):
        shares = 1 / (1 + np.exp(-features @ line))
        gradient = features.T @ (targets - shares)
        curvature = (features * (shares * (1 - shares))[:, None]).T @ features + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        found = _log_likelihood(features, targets, line + step)
        while found < best and np.abs(step).max() > 1e-12:
            step /= 2
            found = _log_likelihood(features, targets, line + step)
        line, best = line + step, found
        if np.abs(step).max() < 1e-9:
            break
    slope = min(float(line[0]), STEEPEST)
    return slope, float(line[1]) - slope * center


def _log_likelihood(features: Float64, targets: Float64, line: Float64) -> float:
    odds = features @ line
    return float((targets * odds - np.logaddexp(0.0, odds)).sum())


def write_calibration(model: Path, calibration: Calibration) -> None:
    """Put it into the model folder."""
    write_json(model / CALIBRATION_NAME, asdict(calibration))


def read_calibration(model: Path, *, fingerprint: str) -> Calibration | None:
    """The calibration in a model folder, None where it has none. fingerprint: of the model.

    Raises LatexifyError where the file is damaged, or of another model.
    """
    path = model / CALIBRATION_NAME
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
        calibration = Calibration(**raw)
        numbers = float(calibration.slope), float(calibration.offset)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise LatexifyError(f"{path} is damaged ({error}): run `{CALIBRATE}` again, or remove it") from None
    if not all(map(math.isfinite, numbers)) or calibration.slope < 0:
        raise LatexifyError(f"{path} holds no rising line: run `{CALIBRATE}` again, or remove it")
    if calibration.model != fingerprint:
        raise LatexifyError(
            f"{path} is of another model ({calibration.model}, this is {fingerprint}): run `{CALIBRATE}` again, or "
            "remove it"
        )
    return calibration
