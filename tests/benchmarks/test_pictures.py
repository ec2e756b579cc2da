"""`benchmarks.studies.pictures` draws what its names say, and compares tables."""

import numpy as np
import pytest

from benchmarks.studies.picture_kinds import KINDS, THICK_KINDS
from benchmarks.studies.picture_sheets import SHEETS
from benchmarks.studies.pictures import read_table
from benchmarks.studies.thick_pens import drawn, topology
from latexify.pipeline.inks.ink import Ink
from tests.support.handwriting import strokes


@pytest.mark.parametrize("name", [*THICK_KINDS, *KINDS, *SHEETS])
def test_every_kind_is_drawn_and_the_same_each_time(name: str) -> None:
    """Counts of two commits are comparable only if the pictures are the same."""
    kind = (THICK_KINDS | KINDS | SHEETS)[name]
    first, second = (np.asarray(kind(strokes(), np.random.default_rng(1))) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.min() < first.max()
    assert min(first.shape[:2]) > 40


def test_the_share_of_a_sheet_is_what_its_name_says() -> None:
    """A study of sheets that cover everything would find them all read right."""
    for percent in (80, 20):
        picture = np.asarray(SHEETS[f"sheet, {percent} % of the picture"](strokes(), np.random.default_rng(1)))
        assert abs((picture > 150).mean() - percent / 100) < 0.05


def test_counts_of_another_commit_are_read_from_its_table() -> None:
    """The log shows them before those of this commit."""
    table = "| kind | right | of |\n|---|---:|---:|\n| plain | 22 | 24 |\n"
    assert read_table(table) == {"plain": "22"}
    assert read_table(table.replace("| 22", "| 20 | 22")) == {"plain": "22"}


def test_a_thick_pen_fills_loops_and_joins_strokes() -> None:
    """What it leaves is the most that tracing can reach."""
    turn = np.linspace(0, 2 * np.pi, 60)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    bar = np.array([[6, -1], [6, 1]], np.float32)
    small = 0.3 * ring + np.array([3, 0], np.float32)
    strokes = [ring, small, bar, bar + np.array([0.5, 0], np.float32)]
    ink = Ink(strokes=strokes, key="", source="", split="train", label="", normalized_label="", writer=None)
    assert topology(drawn(ink, 0, 2)) == (4, 2)
    assert topology(drawn(ink, 0, 10)) == (3, 1)
