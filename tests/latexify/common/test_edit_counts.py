"""Edits are counted as jiwer counts them."""

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.common.edit_counts import edit_counts

TEXTS = st.text(alphabet="ab\\ {é", max_size=8)


@given(pairs=st.lists(st.tuples(TEXTS.filter(str.strip), TEXTS), min_size=1, max_size=5))
def test_the_counts_give_the_cer_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    """A validation CER that differs from jiwer's could not be compared with published ones."""
    references, predictions = ([pair[i] for pair in pairs] for i in (0, 1))
    num_chars, edits = edit_counts(references, predictions)
    assert edits.sum() / num_chars.sum() == pytest.approx(jiwer.cer(references, predictions))


def test_counts_are_per_sample() -> None:
    """An empty reference has no characters; its prediction is all insertions."""
    num_chars, edits = edit_counts([" ab ", ""], ["b", "xyz"])
    assert num_chars.tolist() == [2, 0]
    assert edits.tolist() == [1, 3]
