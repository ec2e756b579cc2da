"""Summary of one set of predictions: a mapping for JSON, and text for a terminal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from latexify.common.errors import LatexifyError
from latexify.eval.compare.columns import Pairs
from latexify.eval.compare.text_form import TextForm
from latexify.eval.metrics.constant_answer import best_constant_answer
from latexify.eval.metrics.edits import Edits
from latexify.eval.metrics.rates import Columns, measure_rates
from latexify.eval.metrics.registry import METRICS
from latexify.eval.metrics.reliability import expected_error
from latexify.eval.metrics.visual import Appearance
from latexify.pipeline import latex


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The predictions of one system, counted; `appearance` is how they look, if measured."""

    name: str
    pairs: Pairs
    edits: Edits
    appearance: Appearance | None
    form: TextForm = field(default_factory=TextForm)

    def columns(self) -> Columns:
        """Columns for `latexify.eval.metrics.rates`."""
        return self.edits.columns() | ({} if self.appearance is None else self.appearance.columns())


def summarize(system: System, *, num_resamples: int, seed: int) -> dict[str, Any]:
    """Compute every rate with its 95 % interval, the counts behind them, and the best constant answer.

    Raises LatexifyError if every reference is empty.
    """
    totals, appearance, is_normalized = system.edits.totals(), system.appearance, system.form.normalizes
    if totals["num_chars"] == 0:
        raise LatexifyError(
            f"{system.name}: every reference is empty, so there is no error rate: check the reference column"
        )
    result: dict[str, Any] = {**measure_rates(system.columns(), num_resamples=num_resamples, seed=seed)}
    if appearance is not None:
        result["num_unset_references"] = int(np.count_nonzero(~appearance.reference_renders))
    return {
        **result,
        **totals,
        "constant_answer": asdict(best_constant_answer([text.strip() for text in system.pairs.references])),
        "bootstrap_samples": num_resamples,
        "normalizer": f"latexify {latex.NORMALIZER_VERSION}" if is_normalized else "none",
        "normalizer_version": latex.NORMALIZER_VERSION if is_normalized else None,
        "tokens": "MathWriting" if system.form.is_mathwriting else "latexify",
    }


FORMULAS = {"in_training": "formulas in training", "new": "new formulas"}
"""What the parts of `formulas` in score.json are called."""


def format_summary(result: Mapping[str, Any]) -> str:
    """Format the result of :func:`summarize` for a terminal."""
    constant = result["constant_answer"]
    return "\n".join(
        [
            describe_samples(result),
            *(f"{metric.title:<22}{_format_rate(result[metric.name])}" for metric in METRICS if metric.name in result),
            *_group_lines(result.get("datasets", {})),
            *_group_lines({FORMULAS[name]: rates for name, rates in result.get("formulas", {}).items()}),
            *_calibration_lines(result.get("calibration")),
            f"best constant answer: {constant['cer']:.1%} character error rate, with {constant['answer']!r}",
        ]
    )


def _group_lines(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [
        f"{name:<22}{_format_rate(rates['exact_match'])} exact of {rates['num_samples']:,}, "
        f"character error rate {_format_rate(rates['cer']).strip()}"
        for name, rates in groups.items()
    ]


def describe_samples(result: Mapping[str, Any]) -> str:
    """Say how many samples were compared, and in which form."""
    tokens = ", tokens as MathWriting defines them" if result.get("tokens") == "MathWriting" else ""
    return f"{result['num_samples']:,} samples, normaliser: {result['normalizer']}{tokens}"


def _calibration_lines(calibration: Mapping[str, Any] | None) -> list[str]:
    if calibration is None:
        return []
    how = f"calibrated; {calibration['error_raw']:.1%} without" if calibration["is_calibrated"] else "not calibrated"
    if "ece_chance" in calibration:
        how += f"; {calibration['ece_chance']:.1%} is chance"
    lines = [f"{'calibration error':<22}{expected_error(calibration):>7.1%}   {how}"]
    if "ece_alternatives" in calibration:
        error, count = calibration["ece_alternatives"], calibration["num_alternatives"]
        lines.append(f"{'of further answers':<22}{error:>7.1%}   {count:,} answers")
    return lines


def _format_rate(rate: Mapping[str, float | None]) -> str:
    if rate["value"] is None:
        return "    n/a"
    return f"{rate['value']:>7.1%}   95 % interval {rate['low']:.1%} to {rate['high']:.1%}"
