"""How predictions look: whether they can be set at all, and how much of the reference they show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.common.progress import Progress
from latexify.eval.metrics.bootstrap import Column, ratio_interval
from latexify.eval.metrics.visual import VisualJudge

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """One value for each sample.

    renders, reference_renders: bool [num_samples], whether prediction and reference can be set. visual: float64
    [num_samples], 0 to 1, how alike they look (`latexify.eval.metrics.visual`); NaN where only the reference can be blamed.
    """

    renders: Flags
    reference_renders: Flags
    visual: npt.NDArray[np.float64]

    def rates(self) -> dict[str, tuple[Column, Column]]:
        """Numerator and denominator of each rate, sample by sample.

        Samples whose reference cannot be set are in neither rate of likeness, whatever the prediction: to count those
        that are right and to leave out the others would flatter.
        """
        likeness = np.where(self.reference_renders, np.nan_to_num(self.visual), 0.0)
        return {
            "render_rate": (self.renders, np.ones_like(self.renders)),
            "visual": (likeness, self.reference_renders),
            "visual_exact": (likeness == 1, self.reference_renders),
        }


def judge_appearance(references: Sequence[str], predictions: Sequence[str], *, judge: VisualJudge) -> Appearance:
    """Set every reference and prediction, and compare what they look like. Some milliseconds a pair."""
    renders, reference_renders = (np.zeros(len(references), dtype=np.bool_) for _ in range(2))
    visual = np.full(len(references), np.nan)
    with Progress("score", total=len(references), unit="formulas") as progress:
        for row, (reference, prediction) in enumerate(zip(references, predictions, strict=True)):
            renders[row] = not isinstance(judge.layout(prediction), str)
            reference_renders[row] = not isinstance(judge.layout(reference), str)
            likeness = judge.score(reference, prediction)
            if likeness is not None:
                visual[row] = likeness
            progress.advance(1)
    return Appearance(renders=renders, reference_renders=reference_renders, visual=visual)


def summarize_appearance(appearance: Appearance, *, num_resamples: int, seed: int) -> dict[str, Any]:
    """Every rate with its 95 % interval, and how many references could not be set."""
    result: dict[str, Any] = {}
    for name, (over, under) in appearance.rates().items():
        bounds = ratio_interval(over, under, num_resamples=num_resamples, seed=seed)
        low, high = bounds or (None, None)
        value = float(over.sum(dtype=np.float64) / under.sum()) if bounds else None
        result[name] = {"value": value, "low": low, "high": high}
    result["num_unset_references"] = int(np.count_nonzero(~appearance.reference_renders))
    return result
