"""Map the probability that a model gives its prediction to the fraction of such predictions that are right.

The map is Platt's (1999): a line between the log-odds of both, fitted to validation predictions. It has two numbers, so
a few hundred predictions are enough. It is monotone, so it keeps their order. Unlike a temperature alone, it can also
correct a model that is overconfident everywhere. Isotonic regression would need thousands of predictions.

Each search has a line of its own: the best of several beams, or of the votes of several drawings, is more often right
at the same probability.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.artifacts.files import write_json
from latexify.artifacts.names import CALIBRATE, CALIBRATION_NAME
from latexify.common.errors import LatexifyError

NEAREST = 1e-6  # probabilities are clipped to this distance from 0 and 1, so that their log-odds are finite
STEEPEST = 50.0  # maximum slope: if probabilities separate right from wrong predictions, the best slope is infinite
NUM_ITERATIONS = 100

Float64 = npt.NDArray[np.float64]


GREEDY, BEAMS, DRAWINGS = "greedy", "beams", "drawings"
"""The kinds of searches, by what is searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The map, `sigmoid(offset + slope * log-odds of the probability)`, and what it was fitted to."""

    slope: float  # at least 0
    offset: float  # log-odds of being right at probability 0.5
    num_samples: int  # validation predictions that it was fitted to
    num_right: int  # of these

    def confidence(self, probability: float) -> float:
        """Return the fraction of predictions of this probability that are right; both 0 to 1."""
        near = min(max(probability, NEAREST), 1 - NEAREST)
        odds = self.offset + self.slope * math.log(near / (1 - near))
        return 1 / (1 + math.exp(min(-odds, 700.0)))  # larger exponents overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The lines of a model, by kind of search."""

    model: str  # fingerprint
    normalizer_version: int  # of the normal form that decides what is right
    searches: Mapping[str, Line]  # GREEDY, and any of BEAMS and DRAWINGS

    def line(self, *, num_beams: int, num_drawings: int = 1) -> Line:
        """Return the line of a search; where it was not fitted, that of the nearest simpler one."""
        kinds = [GREEDY]
        if num_beams > 1 or num_drawings > 1:
            kinds.append(BEAMS)
        if num_drawings > 1:
            kinds.append(DRAWINGS)
        return next(self.searches[kind] for kind in reversed(kinds) if kind in self.searches)


def confidence_of(probability: float, *, finished: bool, line: Line | None) -> float:
    """Return a confidence, 0 to 1: 0 if the prediction is unfinished, the probability without a calibration."""
    if not finished:
        return 0.0
    return probability if line is None else line.confidence(probability)


def share_rest(best: float, probabilities: Sequence[float]) -> list[float]:
    """Return the confidences of the further answers to an input, of which one at most is right.

    They share what the confidence of the first leaves, in proportion to what the model gives them: if the first is
    wrong, another is right with its probability over that of all that the first is not. None exceeds the first, which
    has all that the search knows in its favour. So all confidences together are at most 1.

    Args:
        best: Confidence of the first answer, 0 to 1.
        probabilities: Of the whole answers, the first included, by the model: the product over the tokens, not their
            mean; 0 where the search was cut off.

    Returns:
        A confidence for each answer but the first.
    """
    first, *others = probabilities
    rest = max(1 - first, sum(others))
    return [min(best, (1 - best) * other / rest) if other else 0.0 for other in others]


def fit_line(probabilities: Sequence[float], is_right: Sequence[bool]) -> tuple[float, float]:
    """Fit slope and offset to at least one prediction by maximum likelihood.

    The targets are Platt's, (right + 1) / (right + 2) and 1 / (wrong + 2), instead of 1 and 0, so that there is a best
    line even if all predictions are right, or all are wrong. A negative slope (more probable predictions are more often
    wrong) is replaced by 0: every confidence is then the fraction of right predictions.
    """
    near = np.clip(np.asarray(probabilities, np.float64), NEAREST, 1 - NEAREST)
    odds, right = np.log(near / (1 - near)), np.asarray(is_right, np.bool_)
    num_right = int(right.sum())
    targets = np.where(right, (num_right + 1) / (num_right + 2), 1 / (len(right) - num_right + 2))
    level = math.log(targets.mean() / (1 - targets.mean()))
    slope, offset = _newton(odds, targets, level=level)
    return (0.0, level) if slope < 0 else (slope, offset)


def _newton(odds: Float64, targets: Float64, *, level: float) -> tuple[float, float]:
    """Maximise the likelihood, which is concave, by Newton's method; steps that would lower it are halved."""
    center = float(odds.mean())
    features = np.stack([odds - center, np.ones_like(odds)], axis=1)  # centred, so that the two are nearly independent
    line = np.array([0.0, level])
    best = _log_likelihood(features, targets, line)
    for _ in range(NUM_ITERATIONS):
        shares = 1 / (1 + np.exp(-features @ line))
        gradient = features.T @ (targets - shares)
        curvature = (features * (shares * (1 - shares))[:, None]).T @ features + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        likelihood = _log_likelihood(features, targets, line + step)
        while likelihood < best and np.abs(step).max() > 1e-12:
            step /= 2
            likelihood = _log_likelihood(features, targets, line + step)
        line, best = line + step, likelihood
        if np.abs(step).max() < 1e-9:
            break
    slope = min(float(line[0]), STEEPEST)
    return slope, float(line[1]) - slope * center


def _log_likelihood(features: Float64, targets: Float64, line: Float64) -> float:
    odds = features @ line
    return float((targets * odds - np.logaddexp(0.0, odds)).sum())


def write_calibration(model: Path, calibration: Calibration) -> None:
    """Write a calibration into the model folder."""
    write_json(model / CALIBRATION_NAME, asdict(calibration))


def read_calibration(model: Path, *, fingerprint: str) -> Calibration | None:
    """Read the calibration of a model folder; None if it has none.

    Raises LatexifyError if the file is damaged, or belongs to a model with another fingerprint.
    """
    path = model / CALIBRATION_NAME
    try:
        calibration = _parse(json.loads(path.read_text(encoding="utf-8")))
        numbers = [(float(line.slope), float(line.offset)) for line in calibration.searches.values()]
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LatexifyError(f"{path} is damaged ({error}): run `{CALIBRATE}` again, or remove it") from None
    if not all(math.isfinite(slope) and math.isfinite(offset) and slope >= 0 for slope, offset in numbers):
        raise LatexifyError(f"{path} has a slope or offset that is not valid: run `{CALIBRATE}` again, or remove it")
    if calibration.model != fingerprint:
        raise LatexifyError(
            f"{path} belongs to another model ({calibration.model}, this is {fingerprint}): run `{CALIBRATE}` again, "
            "or remove it"
        )
    return calibration


def _parse(raw: Any) -> Calibration:
    """Raises ValueError, TypeError, KeyError or AttributeError if it is no calibration."""
    facts = dict(raw)
    if "searches" not in facts:  # written before searches had lines of their own: that of greedy search
        facts["searches"] = {GREEDY: {name: facts.pop(name) for name in Line.__dataclass_fields__}}
    searches = {str(kind): Line(**line) for kind, line in facts.pop("searches").items()}
    if GREEDY not in searches:
        raise ValueError("it has no line for greedy search")
    return Calibration(**facts, searches=searches)
