"""Formulas in several processes give what they give in one."""

from collections.abc import Sequence

import pytest

from latexify.eval.metrics.parallel import FORMULAS_AT_ONCE, for_each_formula
from latexify.eval.metrics.typeset import Typesetter
from latexify.eval.metrics.visual import VisualScorer, measure_appearance

FORMULAS = [f"x^{{{number}}}+\\frac{{a}}{{{number}}}" for number in range(2 * FORMULAS_AT_ONCE + 5)]


def lengths(formulas: Sequence[str]) -> dict[str, int]:
    """Some work."""
    return {latex: len(latex) for latex in formulas}


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_formula_is_worked_on_once_in_order(jobs: int) -> None:
    """The order decides which layouts are forgotten first."""
    found = for_each_formula(lengths, [*FORMULAS, *FORMULAS], jobs=jobs)
    assert list(found) == FORMULAS
    assert list(found.values()) == list(map(len, FORMULAS))
    assert for_each_formula(lengths, [], jobs=jobs) == {}


def test_scores_do_not_depend_on_the_number_of_processes() -> None:
    """Two machines must give the same figures."""
    predictions = [*FORMULAS[1:], "\\frac{"]
    alone, together = (measure_appearance(FORMULAS, predictions, scorer=VisualScorer(), jobs=jobs) for jobs in (1, 2))
    for column, values in alone.columns().items():
        assert values.tolist() == together.columns()[column].tolist()


def test_drawings_do_not_depend_on_the_number_of_processes() -> None:
    """A report has the same bytes everywhere."""
    pages = []
    for jobs in (0, 2):
        typesetter = Typesetter()
        if jobs:
            typesetter.prepare([*FORMULAS, "\\frac{"], jobs=jobs)
        drawn = [typesetter.draw(latex) for latex in [*FORMULAS[:3], "\\frac{"]]
        pages.append((drawn, typesetter.glyphs(), typesetter.num_glyph_bytes))
    assert pages[0] == pages[1]
    assert pages[0][2] > 1000
