"""Test `parts` and `contention` of `benchmarks.studies`, the sources of docs/guide/training.md on steps."""

import multiprocessing
import signal
from pathlib import Path

import pytest

from benchmarks.studies import contention, parts
from latexify.trainer.data.label_parts import split_labels


def test_parts_are_compared_with_the_whole(project: Path) -> None:
    """A row for each preset: seconds of both ways, and what was saved."""
    shards = project / "data" / "shards"
    options = ["--presets", "tiny", "--batch-size", "16", "--batches", "1", "--rounds", "1"]
    last = parts.main(["--shards", str(shards), *options]).splitlines()[-1]
    row = [cell.strip() for cell in last.strip("|").split("|")]
    assert row[0].startswith("tiny, ")
    whole, cut, saved = float(row[1]), float(row[2]), float(row[3].rstrip("%")) / 100
    assert saved == pytest.approx(1 - cut / whole, abs=0.05)


def test_both_ways_learn_from_the_same_labels(project: Path) -> None:
    """A comparison with less to learn would flatter."""
    (batch,) = parts.load_batches(project / "data" / "shards", batch_size=16, count=1)
    cut = split_labels(batch.labels)
    assert len(cut) > 1
    counted = sum(int((part.labels >= 0).sum()) for part in cut)
    assert counted == int((batch.labels >= 0).sum())


def test_other_work_ends_with_the_measurement() -> None:
    """A process left spinning would spoil every figure after it."""
    others = set(multiprocessing.active_children())  # of tests before
    with contention.busy(2):
        spinning = set(multiprocessing.active_children()) - others
        assert [child.is_alive() for child in spinning] == [True, True]
    assert [child.exitcode for child in spinning] == [-signal.SIGKILL] * 2


def test_a_training_is_timed_under_a_setting() -> None:
    """The rate is read from the other benchmark's table, whose columns may move."""
    assert 0.1 < contention.inks_per_s({"OMP_NUM_THREADS": "1"}, preset="tiny", steps=1) < 10_000
