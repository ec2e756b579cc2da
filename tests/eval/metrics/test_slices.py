"""Scores of parts: each sample in the part where a person would look for it, and symbols beside those they became."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.eval.metrics.confusion import confusion_rows, count_confusions, symbol_rows
from latexify.eval.metrics.edits import count_edits
from latexify.eval.metrics.slices import error_by_group, error_by_length, error_by_structure, source_of
from latexify.eval.metrics.structure import STRUCTURES, script_depth, structures
from latexify.pipeline.latex import tokenize

TEXT = st.text(st.sampled_from("abx\\{}^_ é"), max_size=10)


@pytest.mark.parametrize(
    ("latex", "depth"),
    [
        ("ab", 0),
        ("a_{b}^{c}", 1),
        ("a_b^c", 1),
        ("x^{a_{b}}", 2),
        ("x^{a_b}", 2),
        ("x^{a}y^{b}", 1),
        ("e^{-x^{2^{n}}}", 3),
        (r"\frac{a^{2}}{b}", 1),
        ("f'", 0),
        ("x^", 1),
        ("}}^{a", 1),
        ("", 0),
    ],
)
def test_script_depth(latex: str, depth: int) -> None:
    """Deep scripts are what small canvases lose: they must not be counted among flat ones."""
    assert script_depth(tokenize(latex)) == depth


@pytest.mark.parametrize(
    ("latex", "found"),
    [
        (r"\frac{a}{b}", {"fraction", "scripts 0 deep"}),
        (r"\sqrt[3]{x}", {"root", "scripts 0 deep"}),
        (r"\begin{cases}a\\b\end{cases}", {"matrix", "scripts 0 deep"}),
        (r"\sum_{i}^{n}\hat{x}", {"big operator", "accent", "scripts 1 deep"}),
        (r"x^{y^{z^{w}}}", {"scripts 3 or more deep"}),
        ("", {"scripts 0 deep"}),
        ("\\", {"scripts 0 deep"}),
    ],
)
def test_structures(latex: str, found: set[str]) -> None:
    """A formula may be in several parts, but has one depth."""
    assert structures(latex) == found
    assert structures(latex) <= set(STRUCTURES)


def test_slices_are_scores_of_their_samples() -> None:
    """A slice is the same figure of fewer samples, with an interval that holds it."""
    references, predictions = [r"\frac{a}{b}", "ab", "abcdef", ""], [r"\frac{a}{c}", "ab", "abcdex", "a"]
    edits = count_edits(references, predictions)
    rows = {row["structure"]: row for row in error_by_structure(edits, references, num_resamples=100, seed=1)}
    assert rows["fraction"]["num_samples"] == 1
    assert rows["fraction"]["cer"] == rows["fraction"]["cer_low"] == pytest.approx(1 / 11)
    assert rows["scripts 0 deep"]["exact_match"] == 0.25
    assert 0 <= rows["scripts 0 deep"]["exact_match_low"] <= 0.25 <= rows["scripts 0 deep"]["exact_match_high"]
    lengths = {row["symbols"]: row for row in error_by_length(edits, num_resamples=100, seed=1)}
    assert lengths["0"]["cer"] is lengths["0"]["cer_low"] is None
    assert sum(row["num_samples"] for row in lengths.values()) == 4


def test_groups_are_named_and_the_largest_comes_first() -> None:
    """Writers of whom nothing is known are a group too: nobody may be left out."""
    edits = count_edits(["a"] * 5, ["a", "b", "a", "a", "b"])
    rows = error_by_group(edits, ["w2", None, "w1", "w1", "w2"], column="writer")
    assert [(row["writer"], row["num_samples"], row["exact_match"]) for row in rows] == [
        ("w1", 2, 1.0),
        ("w2", 2, 0.5),
        ("unknown", 1, 0.0),
    ]


def test_source_is_the_folder_of_the_key() -> None:
    """CROHME's sources are folders; a key without one has none."""
    assert source_of("train/HAMEX/formulaire001") == "train/HAMEX"
    assert source_of("formulaire001") == "unknown"


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
    assert confusions.num_errors == edits.symbol_errors.sum()
    rows = symbol_rows(confusions)
    assert sum(row["count"] for row in rows) == edits.num_symbols.sum()
    assert sum(row["substituted"] + row["missing"] + row["extra"] for row in rows) == confusions.num_errors
    assert sum(row["taken_for_it"] for row in rows) == sum(row["substituted"] for row in rows)
    assert np.all([row["right"] >= 0 for row in rows])
