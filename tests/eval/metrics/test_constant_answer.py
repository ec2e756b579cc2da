"""The best constant answer, which every error rate is compared with."""

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.eval.metrics.constant_answer import best_constant_answer


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("ab", max_size=5), min_size=1, max_size=8).filter(any))
def test_constant_answer_is_the_best_of_all_references(references: list[str]) -> None:
    """A weak baseline would flatter the model beside it."""
    best = best_constant_answer(references)
    scores = [jiwer.cer(references, [candidate] * len(references)) for candidate in {*references, ""}]
    assert best.is_exact
    assert best.cer == pytest.approx(min(scores))
    assert best.cer == pytest.approx(jiwer.cer(references, [best.answer] * len(references)))


def test_constant_answer_of_many_references_says_that_it_is_not_exact() -> None:
    """With 200,000 labels a full search takes hours; the shortlist must still find the obvious answer."""
    references = [f"x{number}" for number in range(300)] + ["y+y+y"] * 300
    best = best_constant_answer(references, max_comparisons=10_000)
    assert not best.is_exact
    assert best.answer == "y+y+y"


def test_constant_answer_takes_other_candidates() -> None:
    """Labels of the training set may be the honest choice."""
    assert best_constant_answer(["abc", "abd"], candidates=["ab", "zzz"]).answer == "ab"
