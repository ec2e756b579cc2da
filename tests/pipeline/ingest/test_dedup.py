"""Duplicates: nothing is evaluated on training inks, and the order of the inputs does not matter."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.pipeline.ingest.dedup import IDENTITY, digests_of, find_duplicates
from latexify.pipeline.inks.ink import SPLITS, Reason


def drop(*rows: tuple[str, str, str]) -> dict[int, Reason]:
    """Reasons by row, of (key, split, content) rows."""
    keys, splits, contents = zip(*rows, strict=True)
    identities = np.empty(len(rows), IDENTITY)
    identities["key"], identities["content"] = digests_of(keys), digests_of(contents)
    identities["split"] = [SPLITS.index(split) for split in splits]
    found = find_duplicates(identities)
    reasons = {}
    for row, kept, same_key in zip(found.rows.tolist(), found.kept.tolist(), found.same_key.tolist(), strict=True):
        same_split = Reason.DUPLICATE_INK if splits[row] == splits[kept] else Reason.LEAKED_INK
        reasons[row] = Reason.DUPLICATE_KEY if same_key else same_split
    return reasons


def test_later_duplicate_leaves_the_training_split() -> None:
    """A repeated ink would count twice in the loss."""
    assert drop(("a", "train", "1"), ("b", "train", "2"), ("c", "train", "1"), ("d", "train", "1")) == {
        2: Reason.DUPLICATE_INK,
        3: Reason.DUPLICATE_INK,
    }


@pytest.mark.parametrize("split", ["valid", "test"])
def test_evaluation_splits_keep_their_duplicates(split: str) -> None:
    """CROHME 2014 has one pair; scores are published over all 986."""
    assert drop(("a", split, "1"), ("b", split, "1")) == {}


def test_leaks_leave_training_first_whatever_the_order() -> None:
    """A test ink must be neither trained on nor used to choose a checkpoint."""
    rows = [("a", "train", "1"), ("b", "valid", "1"), ("c", "test", "1"), ("d", "train", "1")]
    assert drop(*rows) == {0: Reason.LEAKED_INK, 1: Reason.LEAKED_INK, 3: Reason.LEAKED_INK}
    assert drop(*rows[::-1]) == {0: Reason.LEAKED_INK, 2: Reason.LEAKED_INK, 3: Reason.LEAKED_INK}
    assert drop(("a", "train", "1"), ("b", "valid", "1")) == {0: Reason.LEAKED_INK}


def test_repeated_keys_go_first() -> None:
    """A rejected row must not be the reason for rejecting another."""
    rows = [("a", "train", "1"), ("a", "test", "2"), ("b", "train", "2")]
    assert drop(*rows) == {1: Reason.DUPLICATE_KEY}


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["train", "valid", "test"]), st.sampled_from("123")))
)
def test_what_stays_is_sound(rows: list[tuple[str, str, str]]) -> None:
    """Always: keys are unique, no content is in two splits or twice in train, and no content is lost."""
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
