"""The figures of one set of predictions, as a mapping for JSON and as lines for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from latexify.common.errors import LatexifyError
from latexify.eval.metrics.appearance import Appearance, summarize_appearance
from latexify.eval.metrics.bootstrap import intervals
from latexify.eval.metrics.constant_answer import best_constant_answer
from latexify.eval.metrics.edits import Edits
from latexify.pipeline import latex

TITLES = {
    "cer": "character error rate",
    "token_cer": "token error rate",
    "exact_match": "exact match",
    "within_1": "at most one error",
    "within_2": "at most two errors",
    "within_3": "at most three errors",
    "render_rate": "can be typeset",
    "visual": "looks like it (F1)",
    "visual_exact": "looks the same",
}
"""Every rate that a result may have, and how a person calls it."""


def normalizer_name(*, is_normalized: bool) -> str:
    """What the texts were brought into before they were compared."""
    return f"latexify {latex.NORMALIZER_VERSION}" if is_normalized else "none"


def summarize(  # noqa: PLR0913  # all are named
    edits: Edits,
    references: Sequence[str],
    *,
    appearance: Appearance | None,
    num_resamples: int,
    seed: int,
    where: str,
    is_normalized: bool,
) -> dict[str, Any]:
    """Every rate with its 95 % interval, the counts behind them, and the best constant answer."""
    score = edits.score()
    if score.num_chars == 0:
        raise LatexifyError(f"{where}: every reference is empty, so there is no error rate: check the reference column")
    bounds = intervals(edits, num_resamples=num_resamples, seed=seed)
    rates = {}
    for name, value in score.rates().items():
        low, high = bounds[name] or (None, None)
        rates[name] = {"value": value, "low": low, "high": high}
    constant = best_constant_answer([text.strip() for text in references])
    looks = {} if appearance is None else summarize_appearance(appearance, num_resamples=num_resamples, seed=seed)
    return {
        **rates,
        **looks,
        **asdict(score),
        "constant_answer": {
            "answer": constant.answer,
            "cer": constant.cer,
            "is_exact": constant.is_exact,
        },
        "bootstrap_samples": num_resamples,
        "normalizer": normalizer_name(is_normalized=is_normalized),
        "normalizer_version": latex.NORMALIZER_VERSION if is_normalized else None,
    }


def describe(result: Mapping[str, Any]) -> str:
    """What :func:`summarize` found, for a terminal."""
    constant = result["constant_answer"]
    return "\n".join(
        [
            f"{result['num_samples']:,} samples, normaliser: {result['normalizer']}",
            *(f"{title:<22}{_describe_rate(result[name])}" for name, title in TITLES.items() if name in result),
            *_describe_calibration(result),
            f"best constant answer: {constant['cer']:.1%} character error rate, with {constant['answer']!r}",
        ]
    )


def _describe_calibration(result: Mapping[str, Any]) -> list[str]:
    """How far to trust the confidences, where there are some."""
    found = result.get("calibration")
    if found is None:
        return []
    how = f"calibrated; {found['error_raw']:.1%} without" if found["is_calibrated"] else "not calibrated"
    return [f"{'calibration error':<22}{found['error']:>7.1%}   {how}"]


def _describe_rate(rate: Mapping[str, float | None]) -> str:
    if rate["value"] is None:
        return "    n/a"
    return f"{rate['value']:>7.1%}   95 % interval {rate['low']:.1%} to {rate['high']:.1%}"
