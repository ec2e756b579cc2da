"""Composed inks: files of symbols and of boxes, and the stroke font, as sources of glyphs and layouts."""

import json
import lzma
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latexify.pipeline.config import ComposedParams, CrohmeParams, IngestParams, InkmlParams, LabelShares
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.inks.table import read_inks
from latexify.pipeline.latex import tokenize
from latexify.pipeline.source import stage as source
from latexify.pipeline.synthesis.composed.boxed import BoxedFormulas, read_boxed, write_boxed
from latexify.pipeline.synthesis.composed.compose import compose
from latexify.pipeline.synthesis.composed.symbol_files import is_held_out, read_symbol_files
from tests.support.composing_data import write_dataset

HERE = Engine(backend="sequential", jobs=1)
ONLY_LISTED = LabelShares(copied=0, exchanged=0, recombined=0, grammar=0, listed=1, boxes=0)
ONLY_BOXES = LabelShares(copied=0, exchanged=0, recombined=0, grammar=0, listed=0, boxes=1)


def line(label: str, *boxes: tuple[str, float, float, float, float]) -> str:
    """One line of `synthetic-bboxes.jsonl`."""
    names = ("token", "xMin", "yMin", "xMax", "yMax")
    return json.dumps(
        {"label": label, "normalizedLabel": label, "bboxes": [dict(zip(names, b, strict=True)) for b in boxes]}
    )


BOXES = [
    line("\\frac{a}{b}", ("a", 20, 0, 60, 40), ("\\frac", 0, 60, 80, 63), ("b", 22, 80, 58, 145)),
    line("x=y", ("x", 0, 0, 50, 45), ("=", 100, 10, 170, 35), ("y", 220, 0, 270, 65)),
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A dataset with files of every kind beside it."""
    write_dataset(tmp_path / "raw", num_train=40, num_test=4)
    (tmp_path / "raw/boxes.jsonl").write_text("\n".join(BOXES), encoding="utf-8")
    drawn = [
        {"label": "\\heartsuit", "strokes": [[[0, 0], [500, 1000], [1000, 0]]]},
        {"label": "ab", "strokes": [[[1, 1]]]},
    ]
    with lzma.open(tmp_path / "raw/drawn.jsonl.xz", "wt", encoding="utf-8") as file:
        file.write("".join(json.dumps(each) + "\n" for each in drawn))
    (tmp_path / "raw/list.txt").write_text("\\heartsuit+\\heartsuit\n", encoding="utf-8")
    (tmp_path / "raw/font.txt").write_text("\\Psi_{\\Psi}\n", encoding="utf-8")
    return tmp_path / "raw"


def composed(raw: Path, at: Path, **params: Any) -> dict[str, Any]:
    """Compose into `at/c.tar`; its counts."""
    source.run(
        CrohmeParams(train=["train"], test=["test"], valid_fraction=0),
        dataset="crohme",
        seed=1,
        raw=raw,
        out=at / "s",
        jobs=1,
    )
    section = ComposedParams(num_inks=12, **params)
    where = {"base": at / "s", "raw": raw, "out": at / "c.tar"}
    return compose(section, plan=source.read_plan(at / "s"), seed=1, engine=HERE, **where)


def inks_in(tar: Path, at: Path) -> list[Any]:
    """The inks of a tar as ingest reads them."""
    section = InkmlParams(paths=[str(tar)], valid_fraction=0, test_fraction=0)
    source.run(section, dataset="inkml", seed=1, raw=at, out=at / "again", jobs=1)
    ingest.run(
        IngestParams(max_reject_fraction=0), source=at / "again", out=at / "inks", metrics=at / "m.json", engine=HERE
    )
    return list(read_inks(at / "inks"))


def test_ready_made_boxes_are_filled(raw: Path, tmp_path: Path) -> None:
    """Every symbol lies in its box: the bar under the numerator, the denominator under the bar."""
    counts = composed(raw, tmp_path, box_files=["boxes.jsonl"], label_mix=ONLY_BOXES, variation=0)
    assert counts["inks"] == {"boxes": 12}
    for ink in inks_in(tmp_path / "c.tar", tmp_path):
        low = np.array([stroke.min(axis=0) for stroke in ink.strokes])
        high = np.array([stroke.max(axis=0) for stroke in ink.strokes])
        width, height = high.max(axis=0) - low.min(axis=0)
        if ink.normalized_label == "x=y":
            assert width > 2.5 * height
            continue
        assert ink.normalized_label == "\\frac{a}{b}"
        bar = int(np.argmax(high[:, 0] - low[:, 0]))
        assert high[bar, 1] - low[bar, 1] < 0.2 * height
        assert high[0, 1] < low[bar, 1] <= high[bar, 1] < low[-1, 1] + 0.05 * height


def test_boxes_come_back_as_they_were_written(tmp_path: Path) -> None:
    """Workers read the file that the main process wrote."""
    formulas = list(read_boxed(BOXES, path=tmp_path))
    write_boxed(tmp_path / "b.arrow", formulas)
    stored = BoxedFormulas(tmp_path / "b.arrow")
    assert len(stored) == 2
    assert [stored[number] for number in range(len(stored))] == formulas


def test_symbol_files_add_symbols(raw: Path, tmp_path: Path) -> None:
    """A command that no training ink holds can be written once a file of symbols holds it; words are passed over."""
    counts = composed(raw, tmp_path, symbol_files=["drawn.jsonl.xz"], formulas=["list.txt"], label_mix=ONLY_LISTED)
    assert counts["listed_formulas"] == 1
    assert {ink.normalized_label for ink in inks_in(tmp_path / "c.tar", tmp_path)} == {"\\heartsuit+\\heartsuit"}
    files = read_symbol_files([raw / "drawn.jsonl.xz"])
    assert [symbol.token for symbol in files.symbols] == ["\\heartsuit"]


def test_writers_are_held_out_by_their_file(raw: Path, tmp_path: Path) -> None:
    """A model is tested on the symbols of people whom it never saw, so all files of a person must be on one side."""
    drawn = [
        {"label": "\\heartsuit", "strokes": [[[0, 0], [5, number + 1]]], "source": f"s{section}/who/w{number}.dat"}
        for number in range(60)
        for section in range(2)
    ]
    path = raw / "by-writer.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in drawn), encoding="utf-8")
    held_out = [each for each in drawn if is_held_out(str(each["source"]), 0.3)]
    assert 20 < len(held_out) < 52
    writers = Counter(str(each["source"]).partition("/")[2] for each in held_out)
    assert set(writers.values()) == {2}
    files = read_symbol_files([path], held_out_writers=0.3)
    assert len(files.symbols) == len(drawn) - len(held_out)
    assert not is_held_out("", 0.999)
    only_symbols = ONLY_LISTED.model_copy(update={"listed": 0.0, "symbols": 1.0})
    params = {"symbol_files": ["by-writer.jsonl"], "held_out_writers": 0.3, "formulas": ["list.txt"]}
    counts = composed(raw, tmp_path, label_mix=only_symbols, **params)
    assert counts["inks"] == {"symbols": 12}
    assert {len(tokenize(ink.normalized_label)) for ink in inks_in(tmp_path / "c.tar", tmp_path)} == {1}
    without = composed(raw, tmp_path, label_mix=only_symbols, **{**params, "held_out_writers": 0.0})
    assert without["symbols"] - counts["symbols"] == len(held_out)


def test_the_stroke_font_stands_in_if_asked(raw: Path, tmp_path: Path) -> None:
    """A token that nobody wrote is refused by default, and set in the font on request."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with_font = composed(raw, tmp_path / "a", formulas=["font.txt"], stroke_font=True, label_mix=ONLY_LISTED)
    assert with_font["listed_formulas"] == 1
    without = composed(raw, tmp_path / "b", formulas=["font.txt"])
    assert without["refused"]["listed: no symbol \\Psi"] == 1
    with tarfile.open(tmp_path / "a/c.tar") as archive:
        assert len(archive.getnames()) == 12


def test_a_symbol_file_divides_the_datasets_own_training_inks(tmp_path: Path) -> None:
    """MathWriting's symbols.jsonl names strokes of inks; not cut: inks of other splits, strokes that are not there."""
    folder = tmp_path / "raw/data"
    for split, name in (("train", "aa"), ("test", "bb")):
        (folder / split).mkdir(parents=True)
        traces = "".join(f"<trace>{at} 0 0,{at} {20 + at} 9,{at + 5} 3 20</trace>" for at in (0, 30, 60 + len(split)))
        text = f'<ink><annotation type="label">x+{name}</annotation>{traces}</ink>'
        (folder / split / f"{name}.inkml").write_text(text, encoding="utf-8")
    entries = [
        {"sourceSampleId": "aa", "strokeIndices": [0], "label": "x"},
        {"sourceSampleId": "aa", "strokeIndices": [1, 2], "label": "+"},
        {"sourceSampleId": "aa", "strokeIndices": [7], "label": "a"},
        {"sourceSampleId": "bb", "strokeIndices": [0], "label": "b"},
    ]
    (tmp_path / "raw/symbols.jsonl").write_text("\n".join(map(json.dumps, entries)), encoding="utf-8")
    (tmp_path / "raw/list.txt").write_text("x+x\nx+b\nx+a\n", encoding="utf-8")
    section = InkmlParams(paths=["data"], split_by="folder")
    source.run(section, dataset="inkml", seed=1, raw=tmp_path / "raw", out=tmp_path / "s", jobs=1)
    params = ComposedParams(num_inks=3, symbol_files=["symbols.jsonl"], formulas=["list.txt"], label_mix=ONLY_LISTED)
    counts = compose(
        params,
        plan=source.read_plan(tmp_path / "s"),
        base=tmp_path / "s",
        raw=tmp_path / "raw",
        seed=1,
        out=tmp_path / "inks-out",
        engine=HERE,
    )
    assert (counts["symbols"], counts["tokens"], counts["listed_formulas"]) == (2, 2, 1)
    assert len(list((tmp_path / "inks-out").glob("*.inkml"))) == 3
