"""Split rules and duplicates: nothing is judged on what it was trained on, and nothing hinges on order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from latexify.pipeline.ingest.duplicates import digests_of, find_duplicates
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import SPLITS, Reason
from latexify.pipeline.inputs.splits import (
    AnnotationSplit,
    FolderSplit,
    HashSplit,
    InputSplit,
    SplitRule,
    known_writer,
    require_split,
    selects,
)

FOLDERS = FolderSplit(folders={"train": "train", "synthetic": "train", "valid": "valid", "test": "test"}, only=True)


def split_of(
    rule: SplitRule, *, path: str = "a.inkml", writer: str | None = None, label: str = "x", **annotations: str
):
    """The split of an ink, or the reason for none."""
    try:
        return require_split(rule, path=path, annotations=annotations, writer=writer, normalized_label=label)
    except UnusableInkError as error:
        return error.reason


def by_hash(of: str, *, seed: int = 1, valid: float = 0.2, test: float = 0.1) -> HashSplit:
    """A hash rule."""
    return HashSplit(of=of, seed=seed, valid_fraction=valid, test_fraction=test)


def test_folders_decide_and_select():
    """MathWriting's published splits, and none of the folders that were not asked for."""
    assert split_of(FOLDERS, path="mathwriting-2024/train/0a.inkml") == "train"
    assert split_of(FOLDERS, path="mathwriting-2024/synthetic/0a.inkml") == "train"
    assert split_of(FOLDERS, path="./Valid/0a.inkml") == "valid"
    assert split_of(FOLDERS, path="test/train/0a.inkml") == "test"
    assert selects(FOLDERS, "mathwriting-2024/test/0a.inkml")
    assert not selects(FOLDERS, "mathwriting-2024/symbols/0a.inkml")
    assert not selects(FOLDERS, "symbols/train.inkml")


def test_unmatched_folder_is_a_rejection_where_all_files_count():
    """In the user's own data a misspelt folder must be reported, not skipped."""
    rule = FolderSplit(folders={"train": "train"}, only=False)
    assert selects(rule, "trian/a.inkml")
    assert split_of(rule, path="trian/a.inkml") is Reason.NO_SPLIT


def test_annotations_decide():
    """Usual spellings of the three splits are known, everything else is reported."""
    rule = AnnotationSplit(annotation="splitTagOriginal")
    assert split_of(rule, splitTagOriginal="train") == "train"
    assert split_of(rule, splitTagOriginal=" Validation") == "valid"
    assert split_of(rule, splitTagOriginal="symbols") is Reason.NO_SPLIT
    assert split_of(rule) is Reason.NO_SPLIT


def test_input_decides():
    """CROHME's test archive is the test split, all of it."""
    assert split_of(InputSplit(split="test"), writer="w") == "test"


@given(st.text(), st.text(), st.text(), st.integers(0, 5))
def test_no_writer_is_in_two_splits(writer: str, label: str, other_label: str, seed: int):
    """A model that has seen a writer's hand scores better on it than on strangers."""
    rule = by_hash("writer", seed=seed)
    assert split_of(rule, writer=writer, label=label) == split_of(rule, writer=writer, label=other_label)
    assert split_of(rule, label=label) == split_of(rule, label=label)


@given(st.text(), st.text(), st.text())
def test_no_label_is_in_two_splits(writer: str, other_writer: str, label: str):
    """Splitting by label asks for formulas that were never seen."""
    rule = by_hash("label")
    assert split_of(rule, writer=writer, label=label) == split_of(rule, writer=other_writer, label=label)


def test_fractions_are_met_and_nested():
    """The shares are those asked for; asking for more validation moves training inks only."""
    names = [str(number) for number in range(4000)]
    small = [split_of(by_hash("writer", valid=0.1), writer=name) for name in names]
    large = [split_of(by_hash("writer", valid=0.2), writer=name) for name in names]
    assert abs(small.count("valid") / 4000 - 0.1) < 0.02
    assert abs(small.count("test") / 4000 - 0.1) < 0.02
    assert all(
        before == after or (before, after) == ("train", "valid") for before, after in zip(small, large, strict=True)
    )


def test_seed_matters_and_no_fraction_means_no_ink():
    """Another seed holds out other writers; a fraction of nothing holds out none."""
    names = [str(number) for number in range(200)]
    one, two = ([split_of(by_hash("writer", seed=seed), writer=name) for name in names] for seed in (1, 2))
    assert one != two
    assert {split_of(by_hash("writer", valid=0, test=0), writer=name) for name in names} == {"train"}


@pytest.mark.parametrize("text", [None, "", "  ", "Unknown", "NONE", "n/a", "?"])
def test_placeholders_are_no_writers(text: str | None):
    """164 inks of MfrDB have the writer "Unknown": as one writer, all would move together."""
    assert known_writer(text) is None
    assert known_writer(" depart027 ") == "depart027"


@pytest.mark.parametrize(
    "rule", [FOLDERS, by_hash("label"), InputSplit(split="valid"), AnnotationSplit(annotation="a")]
)
def test_rules_survive_the_manifest(rule: SplitRule):
    """Source writes them as JSON, ingest must read the same rule."""
    adapter = TypeAdapter(SplitRule)
    assert adapter.validate_python(rule.model_dump()) == rule


def drop(*rows: tuple[str, str, str]) -> dict[int, Reason]:
    """Reasons by row, of (key, split, content) rows."""
    keys, splits, contents = zip(*rows, strict=True)
    found = find_duplicates(
        digests_of(keys),
        splits=np.array([SPLITS.index(split) for split in splits], np.uint8),
        contents=digests_of(contents),
    )
    reasons = {}
    for row, kept, same_key in zip(found.rows.tolist(), found.kept.tolist(), found.same_key.tolist(), strict=True):
        same_split = Reason.DUPLICATE_INK if splits[row] == splits[kept] else Reason.LEAKED_INK
        reasons[row] = Reason.DUPLICATE_KEY if same_key else same_split
    return reasons


def test_later_duplicate_leaves_the_training_split():
    """Twice the same ink counts twice in the loss."""
    assert drop(("a", "train", "1"), ("b", "train", "2"), ("c", "train", "1"), ("d", "train", "1")) == {
        2: Reason.DUPLICATE_INK,
        3: Reason.DUPLICATE_INK,
    }


@pytest.mark.parametrize("split", ["valid", "test"])
def test_evaluation_splits_keep_their_duplicates(split: str):
    """CROHME 2014 has one pair; scores are published over all 986."""
    assert drop(("a", split, "1"), ("b", split, "1")) == {}


def test_leaks_leave_training_first_whatever_the_order():
    """An ink of the test split must be neither trained on nor used to choose a checkpoint."""
    rows = [("a", "train", "1"), ("b", "valid", "1"), ("c", "test", "1"), ("d", "train", "1")]
    assert drop(*rows) == {0: Reason.LEAKED_INK, 1: Reason.LEAKED_INK, 3: Reason.LEAKED_INK}
    assert drop(*rows[::-1]) == {0: Reason.LEAKED_INK, 2: Reason.LEAKED_INK, 3: Reason.LEAKED_INK}
    assert drop(("a", "train", "1"), ("b", "valid", "1")) == {0: Reason.LEAKED_INK}


def test_repeated_keys_go_first():
    """A rejected row must not be the reason for rejecting another."""
    rows = [("a", "train", "1"), ("a", "test", "2"), ("b", "train", "2")]
    assert drop(*rows) == {1: Reason.DUPLICATE_KEY}


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["train", "valid", "test"]), st.sampled_from("123")))
)
def test_what_stays_is_sound(rows: list[tuple[str, str, str]]):
    """Whatever comes: keys unique, no content in two splits, none twice in train, and no content lost altogether."""
    if not rows:
        return
    dropped = drop(*rows)
    kept = [row for number, row in enumerate(rows) if number not in dropped]
    assert len({key for key, _, _ in kept}) == len(kept)
    for content in {content for _, _, content in kept}:
        splits = [split for _, split, each in kept if each == content]
        assert len(set(splits)) == 1
        assert splits[0] != "train" or len(splits) == 1
    unique_keys = {row for number, row in enumerate(rows) if dropped.get(number) is not Reason.DUPLICATE_KEY}
    assert {content for _, _, content in kept} == {content for _, _, content in unique_keys}
