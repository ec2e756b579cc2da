"""The figures: that they are the ones the field means, whatever is thrown at them."""

from dataclasses import astuple

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.common.errors import LatexifyError
from latexify.eval.metrics.bootstrap import intervals, paired_difference, ratio_interval, resampled_totals
from latexify.eval.metrics.constant_answer import best_constant_answer
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


def test_intervals_are_repeatable_and_hold_the_value() -> None:
    """A report made twice must say the same, and another seed must not change its meaning."""
    rng = np.random.default_rng(0)
    references = ["abcdefgh"] * 400
    predictions = ["abcdefgh" if rng.random() < 0.7 else "abcdefgx" for _ in references]
    edits = count_edits(references, predictions)
    first, again, other = (intervals(edits, num_resamples=500, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
    rates = edits.score().rates()
    for name, (low, high) in first.items():
        assert low <= rates[name] <= high, name
    low, high = first["exact_match"]
    standard_error = (0.7 * 0.3 / 400) ** 0.5
    assert high - low == pytest.approx(2 * 1.96 * standard_error, rel=0.15)


def test_interval_of_a_perfect_score_is_a_point() -> None:
    """Resamples of nothing but hits are all hits."""
    bounds = intervals(count_edits(["a", "b"], ["a", "b"]), num_resamples=100, seed=1)
    assert bounds["cer"] == (0.0, 0.0)
    assert bounds["exact_match"] == (1.0, 1.0)


def test_resamples_without_characters_are_left_out() -> None:
    """One formula among empty references: half of the resamples have nothing to divide by."""
    low, high = intervals(count_edits(["ab", ""], ["ax", ""]), num_resamples=100, seed=1)["cer"]
    assert (low, high) == (0.5, 0.5)


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


def test_blocks_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million pairs are counted in blocks; a pair lost at a border would be lost silently."""
    references, predictions = (
        ["ab c", "", r"\frac{a}{b}", "x\u3000y", "a"] * 3,
        ["ab", "x", r"\frac{a}{b}", "xy", "a"] * 3,
    )
    whole = count_edits(references, predictions).counts()
    monkeypatch.setattr("latexify.eval.metrics.edits.PAIRS_AT_ONCE", 4)
    assert np.array_equal(count_edits(references, predictions).counts(), whole)


def test_tokens_without_number_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of anything but formulas must not end in a traceback from within."""
    monkeypatch.setattr("sys.maxunicode", 3)
    with pytest.raises(LatexifyError, match="different LaTeX tokens"):
        count_edits(["abcdef"], ["x"])


def test_resampling_counts_is_resampling_samples() -> None:
    """Drawing how often each kind of sample comes up must give the spread of drawing samples one by one."""
    rng = np.random.default_rng(5)
    rows = np.stack([rng.integers(0, 3, 400), rng.integers(1, 4, 400)], axis=1)
    drawn = rng.integers(400, size=(4000, 400))
    plain = rows[drawn].sum(axis=1)
    quick = resampled_totals(rows, num_resamples=4000, seed=1)
    assert quick.mean(axis=0) == pytest.approx(plain.mean(axis=0), rel=0.005)
    assert np.cov(quick.T) == pytest.approx(np.cov(plain.T), rel=0.1, abs=15)
    assert np.array_equal(quick, np.rint(quick))


def test_many_kinds_of_samples_are_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million long texts may all have different counts: 2,000 resamples of them would take an hour."""
    rng = np.random.default_rng(6)
    under = rng.permutation(3000) + 1
    over = rng.binomial(under, 0.3)
    low, high = ratio_interval(over, under, num_resamples=1000, seed=1)
    monkeypatch.setattr("latexify.eval.metrics.bootstrap.MAX_GROUPS", 500)
    assert ratio_interval(over, under, num_resamples=1000, seed=1) == pytest.approx((low, high), rel=0.002)


def test_order_of_samples_does_not_change_an_interval() -> None:
    """Files of the same answers in another order must give the same figures."""
    rng = np.random.default_rng(7)
    over, under = rng.integers(0, 5, 50), rng.integers(5, 9, 50)
    order = rng.permutation(50)
    one, other = (ratio_interval(over[rows], under[rows], num_resamples=100, seed=1) for rows in (slice(None), order))
    assert one == other


def test_paired_differences_see_what_intervals_do_not() -> None:
    """Two systems that err on the same samples differ surely, though their own intervals overlap widely."""
    rng = np.random.default_rng(8)
    first = rng.random(500) < 0.5
    second = first | (rng.random(500) < 0.04)
    difference = paired_difference(first, second, np.ones(500), num_resamples=1000, seed=1)
    assert difference.value == pytest.approx(second.mean() - first.mean())
    assert 0 < difference.low <= difference.value <= difference.high
    assert difference.p_value < 0.01
    chance = paired_difference(first, rng.permutation(first), np.ones(500), num_resamples=1000, seed=1)
    assert chance.p_value > 0.5


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    """A test that cries wolf more often than it says would make results of noise."""
    rng = np.random.default_rng(9)
    values = []
    for seed in range(200):
        one, two = rng.random((2, 200)) < 0.7
        values.append(paired_difference(one, two, np.ones(200), num_resamples=200, seed=seed).p_value)
    assert 0.02 < np.mean(np.array(values) < 0.1) < 0.19
