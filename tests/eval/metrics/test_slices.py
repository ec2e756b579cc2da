"""Scores of groups of samples: each sample is in the group where a person would look for it."""

import pytest

from latexify.eval.metrics.edits import count_edits
from latexify.eval.metrics.slices import (
    error_by_group,
    error_by_length,
    error_by_lines,
    error_by_structure,
    source_of,
)


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


def test_lines_are_counted_where_they_are_written() -> None:
    """Who trains on several lines wants to see whether the model reads the second one."""
    references = [
        "a",
        r"a\\b",
        r"\begin{cases}a\\b\\c\end{cases}",
        r"x\begin{matrix}a\\b\end{matrix}\begin{matrix}c\\d\end{matrix}",
    ]
    references.append(r"\\" * 7)
    edits = count_edits(references, ["a", r"a\\b", "a", "a", "a"])
    rows = error_by_lines(edits, references, num_resamples=100, seed=1)
    assert [(row["lines"], row["num_samples"], row["exact_match"]) for row in rows] == [
        ("1", 1, 1.0),
        ("2", 2, 0.5),
        ("3", 1, 0.0),
        ("5+", 1, 0.0),
    ]


def test_groups_are_named_and_the_largest_comes_first() -> None:
    """Writers of whom nothing is known are a group too: nobody may be left out."""
    edits = count_edits(["a"] * 5, ["a", "b", "a", "a", "b"])
    rows = error_by_group(edits, ["w2", None, "w1", "w1", "w2"], column="writer", num_resamples=100, seed=1)
    assert [(row["writer"], row["num_samples"], row["exact_match"]) for row in rows] == [
        ("w1", 2, 1.0),
        ("w2", 2, 0.5),
        ("unknown", 1, 0.0),
    ]


def test_source_is_the_folder_of_the_key() -> None:
    """CROHME's sources are folders; a key without one has none."""
    assert source_of("train/HAMEX/formulaire001") == "train/HAMEX"
    assert source_of("formulaire001") == "unknown"
