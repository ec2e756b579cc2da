"""The figures: that they are the ones the field means, whatever is thrown at them."""

from collections import Counter
from dataclasses import astuple

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.common.errors import LatexifyError
from latexify.eval.metrics.edits import count_edits

TEXT = st.text(st.sampled_from("abx\\{}^_ é漢\U0001d465"), max_size=12)
PAIRS = st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8)


@settings(deadline=None)
@given(PAIRS)
def test_character_error_rate_is_jiwers(pairs: list[tuple[str, str]]) -> None:
    """A figure that differs from jiwer's could not be compared with anybody's."""
    references, predictions = ([pair[side] for pair in pairs] for side in (0, 1))
    totals = count_edits(references, predictions).totals()
    if totals["num_chars"]:
        cer = totals["char_errors"] / totals["num_chars"]
        assert cer == pytest.approx(jiwer.cer(references, predictions))


def test_token_error_rate_reproduces_mathwritings_example() -> None:
    """Its notebook: 5 mistakes over 19 tokens, 26.3 %."""
    references = [r"\sqrt{2}", r"\frac{i}{2}", r"a^{2}", "def"]
    predictions = [r"\sqrt{2}", r"\frac{1}{2}", r"\alpha^{2}", "abc"]
    totals = count_edits(references, predictions).totals()
    assert (totals["token_errors"], totals["num_tokens"]) == (5, 19)
    assert round(100 * totals["token_errors"] / totals["num_tokens"], 1) == 26.3
    assert [totals[name] for name in ("num_exact", "num_within_1", "num_within_2", "num_within_3")] == [1, 3, 3, 4]


def test_spaces_are_tokens_of_the_error_rate_but_not_of_exact_match() -> None:
    r"""`\alpha x` and `\alpha  x` are the same formula, yet MathWriting's rate counts the space."""
    totals = count_edits([r"\alpha x"], [r"\alpha  x"]).totals()
    assert (totals["num_tokens"], totals["token_errors"], totals["num_exact"]) == (3, 1, 1)


@pytest.mark.parametrize(
    ("reference", "prediction", "chars", "errors"),
    [("", "ab", 0, 2), ("ab", "", 2, 2), ("", "", 0, 0), ("é漢", "é字", 2, 1), ("a\\", "a", 2, 1), (" a ", "a", 1, 0)],
)
def test_edge_cases_count(reference: str, prediction: str, chars: int, errors: int) -> None:
    """A sample that is left out because it is empty or odd makes the score better than the model is."""
    totals = count_edits([reference], [prediction]).totals()
    assert (totals["num_samples"], totals["num_chars"], totals["char_errors"]) == (1, chars, errors)


@settings(deadline=None)
@given(PAIRS, st.integers(0, 8))
def test_totals_add_up(pairs: list[tuple[str, str]], cut: int) -> None:
    """Totals of slices, machines or batches must sum to the totals of all: they are counts, not ratios."""

    def totals(part: list[tuple[str, str]]) -> Counter[str]:
        return Counter(count_edits([pair[0] for pair in part], [pair[1] for pair in part]).totals())

    assert totals(pairs[:cut]) + totals(pairs[cut:]) == totals(pairs)


def test_no_samples_have_no_edits() -> None:
    """An empty file must not crash the counting."""
    assert set(count_edits([], []).totals().values()) == {0}


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
