"""Split rules: which split an ink belongs to, whatever the order of the inks."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.inputs.splits import (
    AnnotationSplit,
    FolderSplit,
    HashSplit,
    InkFacts,
    InputSplit,
    SplitRule,
    known_writer,
    require_split,
)

FOLDERS = FolderSplit(folders={"train": "train", "synthetic": "train", "valid": "valid", "test": "test"}, only=True)


def split_of(
    rule: SplitRule, *, path: str = "a.inkml", writer: str | None = None, label: str = "x", **annotations: str
) -> str | Reason:
    """The split of an ink, or the reason for none."""
    facts = InkFacts(path=path, annotations=annotations, writer=writer, normalized_label=label)
    try:
        return require_split(rule, facts)
    except UnusableInkError as error:
        return error.reason


def by_hash(of: Literal["writer", "label"], *, seed: int = 1, valid: float = 0.2, test: float = 0.1) -> HashSplit:
    """A hash rule."""
    return HashSplit(of=of, seed=seed, valid_fraction=valid, test_fraction=test)


def test_folders_decide_and_select() -> None:
    """MathWriting has published splits; folders that are not selected are ignored."""
    assert split_of(FOLDERS, path="mathwriting-2024/train/0a.inkml") == "train"
    assert split_of(FOLDERS, path="mathwriting-2024/synthetic/0a.inkml") == "train"
    assert split_of(FOLDERS, path="./Valid/0a.inkml") == "valid"
    assert split_of(FOLDERS, path="test/train/0a.inkml") == "test"
    assert FOLDERS.selects("mathwriting-2024/test/0a.inkml")
    assert not FOLDERS.selects("mathwriting-2024/symbols/0a.inkml")
    assert not FOLDERS.selects("symbols/train.inkml")


def test_unmatched_folder_is_a_rejection_where_all_files_count() -> None:
    """A misspelt folder in the user's own data must be reported, not ignored."""
    rule = FolderSplit(folders={"train": "train"}, only=False)
    assert rule.selects("trian/a.inkml")
    assert split_of(rule, path="trian/a.inkml") is Reason.NO_SPLIT


def test_annotations_decide() -> None:
    """Synonyms of the three splits are known; everything else is reported."""
    rule = AnnotationSplit(annotation="splitTagOriginal")
    assert split_of(rule, splitTagOriginal="train") == "train"
    assert split_of(rule, splitTagOriginal=" Validation") == "valid"
    assert split_of(rule, splitTagOriginal="symbols") is Reason.NO_SPLIT
    assert split_of(rule) is Reason.NO_SPLIT


def test_input_decides() -> None:
    """All of CROHME's test archive is the test split."""
    assert split_of(InputSplit(split="test"), writer="w") == "test"


@given(st.text(), st.text(), st.text(), st.integers(0, 5))
def test_no_writer_is_in_two_splits(writer: str, label: str, other_label: str, seed: int) -> None:
    """A model scores better on writers that it was trained on."""
    rule = by_hash("writer", seed=seed)
    assert split_of(rule, writer=writer, label=label) == split_of(rule, writer=writer, label=other_label)
    assert split_of(rule, label=label) == split_of(rule, label=label)


@given(st.text(), st.text(), st.text())
def test_no_label_is_in_two_splits(writer: str, other_writer: str, label: str) -> None:
    """Splitting by label evaluates formulas that were never trained on."""
    rule = by_hash("label")
    assert split_of(rule, writer=writer, label=label) == split_of(rule, writer=other_writer, label=label)


def test_fractions_are_met_and_nested() -> None:
    """Fractions are as requested; a larger validation fraction moves training inks only."""
    names = [str(number) for number in range(4000)]
    small = [split_of(by_hash("writer", valid=0.1), writer=name) for name in names]
    large = [split_of(by_hash("writer", valid=0.2), writer=name) for name in names]
    assert abs(small.count("valid") / 4000 - 0.1) < 0.02
    assert abs(small.count("test") / 4000 - 0.1) < 0.02
    assert all(
        before == after or (before, after) == ("train", "valid") for before, after in zip(small, large, strict=True)
    )


def test_seed_matters_and_no_fraction_means_no_ink() -> None:
    """Another seed holds out other writers; a fraction of 0 holds out none."""
    names = [str(number) for number in range(200)]
    one, two = ([split_of(by_hash("writer", seed=seed), writer=name) for name in names] for seed in (1, 2))
    assert one != two
    assert {split_of(by_hash("writer", valid=0, test=0), writer=name) for name in names} == {"train"}


@pytest.mark.parametrize("text", [None, "", "  ", "Unknown", "NONE", "n/a", "?"])
def test_placeholders_are_not_writers(text: str | None) -> None:
    """164 inks of MfrDB have the writer "Unknown": as one writer, all would move together."""
    assert known_writer(text) is None
    assert known_writer(" depart027 ") == "depart027"


@pytest.mark.parametrize(
    "rule", [FOLDERS, by_hash("label"), InputSplit(split="valid"), AnnotationSplit(annotation="a")]
)
def test_rules_survive_the_manifest(rule: SplitRule) -> None:
    """The source stage writes rules as JSON, and ingest must read the same rules."""
    adapter = TypeAdapter(SplitRule)
    assert adapter.validate_python(rule.model_dump()) == rule
