"""Examples are test inks of all lengths, or those that are shipped."""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import draw_ink
from latexify.pipeline.inks.ink import Ink
from latexify.pipeline.latex import normalize
from latexify.serve.demo.examples import MAX_TOKENS, find_examples
from tests.support.handwriting import CANVAS
from tests.support.ink_tables import ink_table


def inks_folder(folder: Path, rows: list[Ink]) -> Path:
    """Make a folder like the ingest stage."""
    folder.mkdir()
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        pq.write_table(ink_table(part), folder / f"part-{number:05d}.parquet")
    content = {"parts": [{"name": "part-00000.parquet"}, {"name": "part-00001.parquet"}]}
    write_manifest(folder, Manifest(kind="inks", version=1, params={}, inputs={}, content=content))
    return folder


def row(number: int, *, split: str, label: str) -> Ink:
    """Make an ink with a unique first point."""
    drawn = [np.array([[number, 0], [5, 5]], np.float32), np.array([[1, 1]], np.float32)]
    return Ink(
        key=f"{split}/{number}",
        split=split,
        label=label,
        normalized_label=label,
        strokes=drawn,
        writer=None,
        source="a",
    )


def test_examples_are_test_inks_of_all_lengths(tmp_path: Path) -> None:
    """Training inks would make the model look too good; similar ones would be dull."""
    tests = [row(number, split="test", label="x" + "+1" * (number % 10)) for number in range(40)]
    long = row(90, split="test", label="x" * (MAX_TOKENS + 1))
    folder = inks_folder(tmp_path / "inks", [*tests, row(91, split="train", label="y+y"), long])
    examples = find_examples(folder, count=5)
    assert len(examples) == 5
    by_key = {ink.key: ink for ink in tests}
    for example in examples:
        assert example.label == by_key[example.key].label
        assert np.array_equal(example.strokes[0], by_key[example.key].strokes[0])
    lengths = [len(example.label) for example in examples]
    assert lengths == sorted(set(lengths))
    assert [example.key for example in find_examples(folder, count=5)] == [example.key for example in examples]
    assert len(find_examples(folder, count=50)) == 9  # labels of one symbol are left out, and each label comes once


def test_without_test_inks_examples_are_the_shipped_ones(tmp_path: Path) -> None:
    """A fresh clone has no data; nor has a published model. Generated ones were misread, and of unknown formulas."""
    folder = inks_folder(tmp_path / "inks", [row(1, split="train", label="y+y"), row(2, split="valid", label="y")])
    nowhere, nothing = find_examples(tmp_path / "gone", count=6), find_examples(folder, count=6)
    assert [example.key for example in nowhere] == [example.key for example in nothing]
    assert len(nowhere) == 6
    for example in nowhere:
        assert normalize(example.label) == example.label
        assert draw_ink(example.strokes, CANVAS).min() == 0


def test_inks_without_pyarrow_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo is installed without it; a project with inks has it, unless it was copied to another machine."""
    folder = inks_folder(tmp_path / "inks", [row(1, split="test", label="y+y"), row(2, split="valid", label="y")])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LatexifyError, match=r"needs the package pyarrow: run pip install -e '.\[rasterize\]'"):
        find_examples(folder, count=6)
