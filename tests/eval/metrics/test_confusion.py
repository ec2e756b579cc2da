"""Symbol confusions: each token error of exact match is listed once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.eval.metrics.confusion import confusion_rows, count_confusions, symbol_rows
from latexify.eval.metrics.edits import count_edits

TEXT = st.text(st.sampled_from("abx\\{}^_ é"), max_size=10)


def test_confusions_name_what_was_read_for_what() -> None:
    """The table that says what to train next."""
    confusions = count_confusions(["x^{2}", "ab", "a b", ""], ["x^{z}", "abc", "b", "q"])
    assert confusions.pairs == {("2", "z"): 1, (None, "c"): 1, ("a", None): 1, (None, "q"): 1}
    rows = confusion_rows(confusions)
    assert [row["kind"] for row in rows] == ["extra", "extra", "substituted", "missing"]
    symbols = {row["symbol"]: row for row in symbol_rows(confusions)}
    assert symbols["a"] == {
        "symbol": "a",
        "count": 2,
        "right": 1,
        "substituted": 0,
        "missing": 1,
        "extra": 0,
        "taken_for_it": 0,
        "recall": 0.5,
        "precision": 1.0,
    }
    assert symbols["z"]["recall"] is None
    assert symbols["z"]["precision"] == 0


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_confusions_are_as_many_as_the_token_errors(pairs: list[tuple[str, str]]) -> None:
    """The table explains exact match and its tolerances: it must hold every one of their errors, once."""
    references, predictions = ([pair[side] for pair in pairs] for side in (0, 1))
    confusions = count_confusions(references, predictions)
    edits = count_edits(references, predictions)
    assert confusions.pairs.total() == edits.symbol_errors.sum()
    rows = symbol_rows(confusions)
    assert sum(row["count"] for row in rows) == edits.num_symbols.sum()
    assert sum(row["substituted"] + row["missing"] + row["extra"] for row in rows) == confusions.pairs.total()
    assert sum(row["taken_for_it"] for row in rows) == sum(row["substituted"] for row in rows)
    assert np.all([row["right"] >= 0 for row in rows])
