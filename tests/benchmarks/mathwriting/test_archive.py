"""The archive that stands for MathWriting: its layout, and that ingest reads it as it reads Google's."""

import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.mathwriting import archive
from benchmarks.mathwriting.archive import PUBLISHED, Material, denser, folder_counts, write_archive
from latexify.pipeline.config import ComposedParams, CrohmeParams, IngestParams, MathWritingParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.source import stage as source
from tests.support.composing_data import write_dataset

COUNTS = {"train": 40, "valid": 8, "test": 6, "symbols": 5, "synthetic": 61}
HERE = Engine(backend="sequential")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A small dataset with trace groups, and a list of formulas."""
    raw = tmp_path_factory.mktemp("raw")
    write_dataset(raw)
    (raw / "list.txt").write_text("a+b=c\nx^2\n", encoding="utf-8")
    section = CrohmeParams(train=["train"], test=["test"], valid_fraction=0.3)
    return Material(raw=raw, section=section, composed=ComposedParams(formulas=["list.txt"]))


@pytest.fixture(scope="module")
def made(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive in which one ink in thirty is there twice."""
    out = tmp_path_factory.mktemp("made") / "mathwriting-2024.tgz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "REPEATED", 30)
        patch.setattr(archive, "INKS_PER_TASK", 20)
        totals = write_archive(out, COUNTS, material=material, engine=HERE)
    assert totals["inks"] == sum(COUNTS.values())
    assert totals["bytes"] == out.stat().st_size
    return out


def test_the_folders_are_those_of_the_published_archive(made: Path) -> None:
    """With other folders, splits would be measured that nobody has; a readme lies among the inks."""
    with tarfile.open(made, "r:gz") as tar:
        names = tar.getnames()
        ink = tar.extractfile(next(name for name in names if "/train/" in name))
        assert ink is not None
        document = parse_inkml(ink.read())
    inks = [name for name in names if name.endswith(".inkml")]
    assert Counter(name.split("/")[1] for name in inks) == COUNTS
    assert len(set(names)) == len(names)
    assert {name.split("/")[0] for name in names} == {"mathwriting-2024"}
    assert names[0] == "mathwriting-2024/readme.md"
    assert document.annotations["normalizedLabel"] == document.annotations["label"]


def test_symbols_are_lone_and_have_no_normalised_label(made: Path) -> None:
    """As published; ingest falls back to `label` there."""
    with tarfile.open(made, "r:gz") as tar:
        names = [name for name in tar.getnames() if "/symbols/" in name]
        documents = [parse_inkml(file.read()) for name in names if (file := tar.extractfile(name))]
    assert len(documents) == COUNTS["symbols"]
    assert not [each for each in documents if "normalizedLabel" in each.annotations]


def test_ingest_reads_it_whole(made: Path, tmp_path: Path) -> None:
    """Every ink becomes a row, but for the training inks that are there twice."""
    section = MathWritingParams(archive=str(made), train_folders=["train", "synthetic", "symbols"])
    source.run(section, dataset="mathwriting", seed=1, raw=tmp_path, out=tmp_path / "source", jobs=1)
    out, metrics = tmp_path / "inks", tmp_path / "m.json"
    counts = ingest.run(IngestParams(), source=tmp_path / "source", out=out, metrics=metrics, engine=HERE)
    assert counts["inputs"] == sum(COUNTS.values())
    # inks 29 and 89 of all repeat the first of their task; 59 and 119 are first themselves
    assert counts["rejected"] == {"duplicate-ink": 2}
    assert counts["rows"] == {"train": 40 + 5 + 61 - 2, "valid": 8, "test": 6}


def test_the_shares_are_those_of_the_published_archive() -> None:
    """650,000 inks are all but as many as there are."""
    counts = folder_counts(650_000)
    assert sum(counts.values()) == 650_000
    assert all(abs(counts[name] / PUBLISHED[name] - 650_000 / 655_619) < 0.001 for name in counts)
    assert folder_counts(5_000, num_valid=1_000)["valid"] == 1_000
    assert sum(folder_counts(5_000, num_valid=1_000).values()) == 5_000
    with pytest.raises(ValueError, match="too few"):
        folder_counts(3)


def test_points_between_the_points_leave_the_strokes_as_they_are() -> None:
    """No line may lead from one stroke to the next."""
    points = np.array([[0.0, 0.0], [2.0, 4.0], [10.0, 10.0], [20.0, 0.0], [22.0, 2.0]])
    dense, lengths = denser(points, [2, 1, 2])
    assert lengths == [3, 1, 3]
    assert dense.tolist() == [[0, 0], [1, 2], [2, 4], [10, 10], [20, 0], [21, 1], [22, 2]]
