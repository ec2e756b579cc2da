"""The distinct formulas of a search, with the model's probability of each."""

from collections.abc import Sequence

from latexify.eval.predict.calibration import Line, confidence_of, share_rest
from latexify.pipeline.latex import normalize
from latexify.trainer.inference.search import Hypothesis

Formulas = dict[str, float]
"""Normalised LaTeX to its probability, 0 to 1, the answer of the search first."""


def distinct_formulas(hypotheses: Sequence[Hypothesis], texts: Sequence[str]) -> Formulas:
    """Return the formulas of an input's hypotheses; those that are the same formula become one, with their sum.

    Args:
        hypotheses: At least one, the best first.
        texts: The LaTeX of each.
    """
    formulas: Formulas = {}
    for text, hypothesis in zip(texts, hypotheses, strict=True):
        latex = normalize(text)
        formulas[latex] = formulas.get(latex, 0.0) + hypothesis.probability
    return formulas


def confidences_of(formulas: Formulas, *, probability: float, finished: bool, line: Line | None) -> list[float]:
    """Return the confidence of each formula, see `share_rest`.

    Args:
        formulas: Of one input.
        probability: Of the first formula: the geometric mean of those of its tokens.
        finished: Whether the search of the first formula came to its end.
        line: The calibration of the search; None if there is none.
    """
    best = confidence_of(probability, finished=finished, line=line)
    return [best, *share_rest(best, list(formulas.values()))]
