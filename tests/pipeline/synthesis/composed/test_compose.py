"""Composed inks from end to end: their sources, what they must never be made of, and reproducible bytes."""

import hashlib
import json
import os
import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.config import ComposedParams, CrohmeParams, IngestParams, LabelShares
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.inks.ink import Ink
from latexify.pipeline.inks.table import read_inks
from latexify.pipeline.inputs.inputs import SourcePlan
from latexify.pipeline.source import stage as source
from latexify.pipeline.synthesis.composed.bank import Bank
from latexify.pipeline.synthesis.composed.compose import compose
from latexify.pipeline.synthesis.composed.filling import fill_bank
from latexify.pipeline.synthesis.composed.gathering import Material, gather
from latexify.pipeline.synthesis.composed.hand import ComposedHand, Habits
from tests.support.composing_data import write_dataset

SECTION = CrohmeParams(train=["train"], test=["test"], valid_fraction=0.3)
HERE = Engine(backend="sequential", jobs=1)
FORMULA_LIST = "a+b=c\nx^2\n\\hat{x}\n"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset and a list of formulas."""
    folder = tmp_path_factory.mktemp("raw")
    write_dataset(folder)
    (folder / "list.txt").write_text(FORMULA_LIST, encoding="utf-8")
    return folder


def make(raw: Path, at: Path, *, jobs: int = 1, seed: int = 1, **composed: Any) -> list[Ink]:
    """Run source and ingest; the inks of the catalogue."""
    params = ComposedParams(**{"num_inks": 120, "formulas": ["list.txt"], **composed})
    source.run(SECTION, dataset="crohme", seed=seed, raw=raw, out=at / "source", jobs=jobs, composed=params)
    ingest.run(
        IngestParams(max_reject_fraction=0), source=at / "source", out=at / "inks", metrics=at / "m.json", engine=HERE
    )
    return list(read_inks(at / "inks"))


@pytest.fixture(scope="module")
def inks(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Ink]:
    """The catalogue of a run with composed inks."""
    return make(raw, tmp_path_factory.mktemp("run"))


def composed_of(inks: list[Ink]) -> list[Ink]:
    """Those that were composed."""
    return [ink for ink in inks if ink.source.startswith("composed.tar/")]


def test_composed_inks_are_for_training_and_known_as_composed(inks: list[Ink]) -> None:
    """All requested inks come in, none of them is used for evaluation, and a report can tell them apart."""
    composed = composed_of(inks)
    assert len(composed) == 120
    assert {ink.split for ink in composed} == {"train"}
    assert {ink.split for ink in inks} == {"train", "valid", "test"}
    assert all(ink.label == ink.normalized_label for ink in composed)
    assert {ink.writer for ink in composed} <= {ink.writer for ink in inks if ink.split == "train"}


def test_no_label_of_validation_or_test_is_written(inks: list[Ink]) -> None:
    """Scores on labels that training saw in other handwriting would be too good."""
    held_out = {ink.normalized_label for ink in inks if ink.split != "train"}
    assert held_out
    assert not held_out & {ink.normalized_label for ink in composed_of(inks)}


def test_only_strokes_of_training_inks_are_used(raw: Path, inks: list[Ink], tmp_path: Path) -> None:
    """The symbols are those of exactly the inks that ingest puts into the training split."""
    material = material_of(raw, tmp_path)
    trained = {ink.key for ink in inks if ink.split == "train"} - {ink.key for ink in composed_of(inks)}
    assert {ink.key for ink in material.inks} == trained
    assert material.held_out_labels == {ink.normalized_label for ink in inks if ink.split != "train"}


def material_of(raw: Path, at: Path) -> Material:
    """What composing may use of the dataset."""
    source.run(SECTION, dataset="crohme", seed=1, raw=raw, out=at / "plain", jobs=1)
    return gather(source.read_plan(at / "plain"), base=at / "plain", divisions={}, engine=HERE)


def test_a_training_copy_of_a_test_ink_gives_no_symbols(tmp_path: Path) -> None:
    """Ingest drops the training ink whose strokes a test ink has; composing must not cut it either."""
    folder = tmp_path / "raw"
    write_dataset(folder, num_train=12, num_test=2)
    (folder / "train/copy.inkml").write_bytes((folder / "test/test0.inkml").read_bytes())
    section = CrohmeParams(train=["train"], test=["test"], valid_fraction=0)
    source.run(section, dataset="crohme", seed=1, raw=folder, out=tmp_path / "s", jobs=1)
    material = gather(source.read_plan(tmp_path / "s"), base=tmp_path / "s", divisions={}, engine=HERE)
    assert len(material.inks) == 12
    assert not any(ink.key.endswith("copy") for ink in material.inks)


def test_bytes_depend_neither_on_jobs_nor_on_order(raw: Path, tmp_path: Path) -> None:
    """A run on another machine must give the same dataset, and another seed another one."""
    digests = []
    for name, jobs, seed in (("one", 1, 1), ("two", 2, 1), ("other", 1, 2)):
        params = ComposedParams(num_inks=450, formulas=["list.txt"])
        out = tmp_path / name
        source.run(SECTION, dataset="crohme", seed=seed, raw=raw, out=out, jobs=jobs, composed=params)
        digests.append(hashlib.sha256((out / "composed.tar").read_bytes()).hexdigest())
        assert not list(out.glob(".composed*"))
    assert digests[0] == digests[1] != digests[2]


def test_without_composed_inks_nothing_changes(raw: Path, tmp_path: Path) -> None:
    """Existing projects keep their fingerprints, and a tar of an earlier run is not left behind."""
    for composed in (ComposedParams(num_inks=5), ComposedParams(), None):
        source.run(SECTION, dataset="crohme", seed=1, raw=raw, out=tmp_path, jobs=1, composed=composed)
        manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
        is_composed = composed is not None and composed.num_inks > 0
        assert (tmp_path / "composed.tar").exists() == is_composed
        assert ("composed" in manifest["params"]) == is_composed
        assert len(manifest["content"]["inputs"]) == 2 + is_composed


def plan(raw: Path, at: Path) -> SourcePlan:
    """The dataset as the stage describes it."""
    source.run(SECTION, dataset="crohme", seed=1, raw=raw, out=at, jobs=1)
    return source.read_plan(at)


def hand_of(bank: Bank, writer: int, *, seed: int) -> ComposedHand:
    """The hand of a writer for one ink."""
    rng = Random(seed)
    return ComposedHand(bank, writer, rng, Habits(Random(0), rng, variation=1))


def test_an_ink_uses_the_symbols_of_its_writer_if_they_wrote_them(raw: Path, tmp_path: Path) -> None:
    """Nobody writes an ink in ten different handwritings."""
    bank = fill_bank(material_of(raw, tmp_path).inks)
    writer = int(np.bincount(bank.writer).argmax())
    own = set(np.flatnonzero(bank.writer == writer).tolist())
    for token, by_writer in bank.glyphs_of.items():
        hand = hand_of(bank, writer, seed=1)
        glyphs = [hand.glyph(token) for _ in range(8)]
        lent = {number for numbers in by_writer.values() for number in numbers} - own
        chosen = [
            number for number in (own if writer in by_writer else lent) if bank.tokens[bank.token[number]] == token
        ]
        points = {bank.glyph(number).points.tobytes() for number in chosen}
        assert {glyph.points.tobytes() for glyph in glyphs} <= points
    # what is lent comes from one other writer
    rare = next(token for token, by_writer in bank.glyphs_of.items() if writer not in by_writer and len(by_writer) > 1)
    hand = hand_of(bank, writer, seed=2)
    used = {hand.glyph(rare).points.tobytes() for _ in range(30)}
    lenders = Counter(
        w for w, numbers in bank.glyphs_of[rare].items() if {bank.glyph(n).points.tobytes() for n in numbers} & used
    )
    assert len(lenders) == 1


def test_glyphs_stand_on_the_baseline_at_one_scale(raw: Path, tmp_path: Path) -> None:
    """Cut from scripts and main lines alike, digits are one high, and x is lower than d."""
    bank = fill_bank(material_of(raw, tmp_path).inks)
    extents = {token: bank.extents[bank.token == number] for number, token in enumerate(bank.tokens)}
    digits = np.concatenate([extents[token] for token in "123456" if token in extents])
    assert np.median(digits[:, 0, 1]) == pytest.approx(-1, abs=0.1)
    assert np.median(digits[:, 1, 1]) == pytest.approx(0, abs=0.1)
    assert np.median(extents["x"][:, 0, 1]) > -0.85
    assert np.median(extents["-"][:, 0, 1]) == pytest.approx(-0.4, abs=0.15)


def test_nothing_to_cut_is_one_clear_line(tmp_path: Path) -> None:
    """A dataset without trace groups has no symbols to compose; the error must say what to do."""
    (tmp_path / "raw/train").mkdir(parents=True)
    ink = b"<ink><annotation type='truth'>x+y</annotation><trace>1 2, 3 4</trace></ink>"
    (tmp_path / "raw/train/a.inkml").write_bytes(ink)
    (tmp_path / "raw/test").mkdir()
    (tmp_path / "raw/test/b.inkml").write_bytes(ink.replace(b"1", b"5"))
    with pytest.raises(LatexifyError, match=r"composed\.num_inks: .* hold no symbols"):
        compose(
            ComposedParams(num_inks=3),
            plan=plan(tmp_path / "raw", tmp_path / "s"),
            base=tmp_path / "s",
            raw=tmp_path / "raw",
            seed=1,
            out=tmp_path / "out.tar",
            engine=HERE,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "s"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"formulas": ["missing.txt"]}, "missing.txt does not exist"),
        ({"symbol_files": ["list.txt"]}, "list.txt, line 1: not a symbol"),
        ({"box_files": ["list.txt"]}, "list.txt, line 1: not a formula with boxes"),
        ({"min_tokens": 59, "max_tokens": 60, "label_mix": LabelShares(grammar=0)}, "no formula can be composed"),
        ({"label_mix": LabelShares(copied=0, exchanged=0, recombined=0, grammar=0)}, "composed.label_mix: no part"),
    ],
)
def test_bad_input_is_one_clear_line(raw: Path, tmp_path: Path, params: Mapping[str, Any], message: str) -> None:
    """A typing error in params.yaml must not end in a traceback, nor leave half a tar."""
    with pytest.raises(LatexifyError, match=message):
        compose(
            ComposedParams(num_inks=3, **params),
            plan=plan(raw, tmp_path / "s"),
            base=tmp_path / "s",
            raw=raw,
            seed=1,
            out=tmp_path / "out.tar",
            engine=HERE,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.real
def test_crohme_train_is_cut_and_composed(tmp_path: Path) -> None:
    """The real files, defects included: nearly all inks are cut, the alphabet is whole, 200 inks a second and core."""
    real = os.environ.get("LATEXIFY_REAL_DATA")
    if real is None:
        pytest.skip("LATEXIFY_REAL_DATA is not set: it names the folder that holds crohme/train.tar.xz")
    out = tmp_path / "s"
    section = CrohmeParams(train=["crohme/train.tar.xz"])
    source.run(section, dataset="crohme", seed=1, raw=Path(real), out=out, jobs=1)
    tar = tmp_path / "c.tar"
    counts = compose(
        ComposedParams(num_inks=600),
        plan=source.read_plan(out),
        base=out,
        raw=Path(real),
        seed=1,
        out=tar,
        engine=HERE,
    )
    assert counts["training_inks"] > 8200
    assert counts["symbols"] > 75_000
    assert counts["tokens"] > 100
    with tarfile.open(tar) as archive:
        assert len(archive.getnames()) == 600
