"""The figures: that they are the ones the field means, whatever is thrown at them."""

from dataclasses import astuple

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.common.errors import LatexifyError
from latexify.eval.metrics.edits import Score, count_edits

TEXT = st.text(st.sampled_from("abx\\{}^_ é漢\U0001d465"), max_size=12)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8)


@settings(deadline=None)
@given(PAIRS)
def test_character_error_rate_is_jiwers(pairs: list[tuple[str, str]]) -> None:
    """A figure that differs from jiwer's could not be compared with anybody's."""
    references, predictions = ([pair[side] for pair in pairs] for side in (0, 1))
    score = count_edits(references, predictions).score()
    if score.num_chars:
        assert score.rates()["cer"] == pytest.approx(jiwer.cer(references, predictions))


def test_token_error_rate_reproduces_mathwritings_example() -> None:
    """Its notebook: 5 mistakes over 19 tokens, 26.3 %."""
    references = [r"\sqrt{2}", r"\frac{i}{2}", r"a^{2}", "def"]
    predictions = [r"\sqrt{2}", r"\frac{1}{2}", r"\alpha^{2}", "abc"]
    score = count_edits(references, predictions).score()
    assert (score.token_errors, score.num_tokens) == (5, 19)
    assert round(100 * score.token_errors / score.num_tokens, 1) == 26.3
    assert (score.num_exact, score.num_within_1, score.num_within_2, score.num_within_3) == (1, 3, 3, 4)


def test_spaces_are_tokens_of_the_error_rate_but_not_of_exact_match() -> None:
    r"""`\alpha x` and `\alpha  x` are the same formula, yet MathWriting's rate counts the space."""
    score = count_edits([r"\alpha x"], [r"\alpha  x"]).score()
    assert (score.num_tokens, score.token_errors, score.num_exact) == (3, 1, 1)


@pytest.mark.parametrize(
    ("reference", "prediction", "chars", "errors"),
    [("", "ab", 0, 2), ("ab", "", 2, 2), ("", "", 0, 0), ("é漢", "é字", 2, 1), ("a\\", "a", 2, 1), (" a ", "a", 1, 0)],
)
def test_edge_cases_count(reference: str, prediction: str, chars: int, errors: int) -> None:
    """A sample that is left out because it is empty or odd makes the score better than the model is."""
    score = count_edits([reference], [prediction]).score()
    assert (score.num_samples, score.num_chars, score.char_errors) == (1, chars, errors)


@settings(deadline=None)
@given(PAIRS, st.integers(0, 8))
def test_scores_add_up(pairs: list[tuple[str, str]], cut: int) -> None:
    """Scores of slices, machines or batches must sum to the score of all: they are counts, not ratios."""

    def score(part: list[tuple[str, str]]) -> Score:
        return count_edits([pair[0] for pair in part], [pair[1] for pair in part]).score()

    assert score(pairs[:cut]) + score(pairs[cut:]) == score(pairs)


def test_corpus_rate_is_edits_over_characters() -> None:
    """The mean of the samples' rates, a common mistake, would give 50 % here."""
    rates = count_edits(["a", "b" * 9], ["x", "b" * 9]).score().rates()
    assert rates["cer"] == pytest.approx(0.1)


def test_no_samples_have_no_rate() -> None:
    """Nothing judged is not 0 % wrong."""
    assert set(Score().rates().values()) == {None}
    assert sum(astuple(count_edits([], []).score())) == 0


def test_blocks_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million pairs are counted in blocks; a pair lost at a border would be lost silently."""
    references, predictions = (
        ["ab c", "", r"\frac{a}{b}", "x\u3000y", "a"] * 3,
        ["ab", "x", r"\frac{a}{b}", "xy", "a"] * 3,
    )
    whole = astuple(count_edits(references, predictions))
    monkeypatch.setattr("latexify.eval.metrics.edits.PAIRS_AT_ONCE", 4)
    assert all(map(np.array_equal, astuple(count_edits(references, predictions)), whole))


def test_tokens_without_number_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of anything but formulas must not end in a traceback from within."""
    monkeypatch.setattr("sys.maxunicode", 3)
    with pytest.raises(LatexifyError, match="different LaTeX tokens"):
        count_edits(["abcdef"], ["x"])
