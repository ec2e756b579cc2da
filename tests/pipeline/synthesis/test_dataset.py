"""The embedded dataset as files."""

import hashlib
import tarfile
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from latexify.pipeline.config import SyntheticParams
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.latex import tokenize
from latexify.pipeline.synthesis import generate
from latexify.pipeline.synthesis.dataset import INKS_PER_TASK, plan, split_writers
from latexify.shards.format.tar import TarWriter

NAMESPACE = {"i": "http://www.w3.org/2003/InkML"}
PARAMS = SyntheticParams(num_train=60, num_valid=15, num_test=15, num_writers=12)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dataset, written without parallelism."""
    out = tmp_path_factory.mktemp("synthetic")
    generate(PARAMS, seed=1, out=out, jobs=1)
    return out


def members(path: Path) -> dict[str, bytes]:
    """Name and content of each member of a tar."""
    with tarfile.open(path) as tar:
        opened = {info.name: tar.extractfile(info) for info in tar}
        return {name: file.read() for name, file in opened.items() if file is not None}


def documents(dataset: Path) -> list[tuple[str, str, etree._Element]]:
    """Split, member name and parsed document of every ink."""
    return [
        (split, name, etree.fromstring(data))
        for split in SPLITS
        for name, data in members(dataset / f"{split}.tar").items()
    ]


def annotations(document: etree._Element) -> dict[str, str]:
    """The annotations of a document by type."""
    return {element.get("type"): element.text for element in document.iterfind("i:annotation", NAMESPACE)}


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of each file."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_bytes_do_not_depend_on_jobs(dataset: Path, tmp_path: Path) -> None:
    """Machines with different numbers of cores must produce the same dataset."""
    generate(PARAMS, seed=1, out=tmp_path, jobs=2)
    assert digests(tmp_path) == digests(dataset)


def test_another_seed_gives_another_dataset(dataset: Path, tmp_path: Path) -> None:
    """The seed must matter."""
    generate(PARAMS, seed=2, out=tmp_path, jobs=1)
    ours, theirs = digests(dataset), digests(tmp_path)
    assert all(ours[name] != theirs[name] for name in ours)


def test_archives_hold_the_requested_numbers(dataset: Path) -> None:
    """The source stage lists exactly these files and counts."""
    assert sorted(path.name for path in dataset.iterdir()) == ["test.tar", "train.tar", "valid.tar"]
    assert {split: len(members(dataset / f"{split}.tar")) for split in SPLITS} == {"train": 60, "valid": 15, "test": 15}


def test_headers_do_not_depend_on_machine_or_clock(dataset: Path) -> None:
    """A time or an owner in a header would change the bytes with every run."""
    with tarfile.open(dataset / "train.tar") as tar:
        facts = {(info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode) for info in tar}
    assert facts == {(0, 0, 0, "", "", 0o644)}


def test_annotations_are_those_of_mathwriting(dataset: Path) -> None:
    """Readers of MathWriting must be able to read this dataset."""
    for split, name, document in documents(dataset):
        assert document.tag == "{http://www.w3.org/2003/InkML}ink"
        found = annotations(document)
        assert name == f"synthetic/{split}/{found['sampleId']}.inkml"
        assert len(found["sampleId"]) == 16
        assert set(found["sampleId"]) <= set("0123456789abcdef")
        assert found["splitTagOriginal"] == split
        assert found["label"] == found["normalizedLabel"] != ""
        assert found["inkCreationMethod"] == found["labelCreationMethod"] == "synthetic"
        channels = [channel.get("name") for channel in document.iterfind("i:traceFormat/i:channel", NAMESPACE)]
        assert channels == ["X", "Y", "T"]


def test_labels_have_the_requested_length(tmp_path: Path) -> None:
    """Labels must respect `min_tokens` and `max_tokens`."""
    params = SyntheticParams(num_train=40, num_valid=1, num_test=1, num_writers=3, min_tokens=5, max_tokens=7)
    generate(params, seed=1, out=tmp_path, jobs=1)
    for _split, _name, document in documents(tmp_path):
        label = annotations(document)["label"]
        assert 5 <= sum(not token.isspace() for token in tokenize(label)) <= 7


def test_traces_are_finite_ordered_and_legible(dataset: Path) -> None:
    """Points that are not numbers, times that run back or inks without extent would be rejected downstream."""
    for _split, name, document in documents(dataset):
        traces = document.findall("i:trace", NAMESPACE)
        assert [trace.get("id") for trace in traces] == [str(number) for number in range(len(traces))]
        points = [np.array([point.split() for point in trace.text.split(",")], dtype=float) for trace in traces]
        together = np.concatenate(points)
        assert together.shape[1] == 3
        assert np.isfinite(together).all(), name
        assert (together > -1e-9).all()
        assert (np.diff(together[:, 2]) >= 0).all()
        assert np.ptp(together[:, :2], axis=0).max() > 10


def test_no_writer_is_in_two_splits(dataset: Path) -> None:
    """A model that is tested on handwriting of its training looks better than it is."""
    writers: dict[str, set[str]] = {split: set() for split in SPLITS}
    for split, _name, document in documents(dataset):
        writers[split].add(annotations(document)["writer"])
    assert sum(map(len, writers.values())) == len(set.union(*writers.values())) == PARAMS.num_writers


@pytest.mark.parametrize("num_writers", [3, 4, 5, 12, 400])
def test_every_split_has_writers_of_its_own(num_writers: int) -> None:
    """Even with the minimum of three writers, each split has one."""
    splits = split_writers(num_writers)
    assert all(len(writers) >= 1 for writers in splits.values())
    assert sorted(writer for writers in splits.values() for writer in writers) == list(range(num_writers))


@pytest.mark.parametrize(("num_inks", "num_writers"), [(1, 3), (7, 400), (2000, 3), (999, 40)])
def test_the_plan_covers_every_index_once_in_order(num_inks: int, num_writers: int) -> None:
    """A skipped index would change the count, a repeated one would repeat a sample id."""
    params = SyntheticParams(num_train=num_inks, num_writers=num_writers)
    tasks = plan(params, "train")
    assert [index for task in tasks for index in range(task.start, task.stop)] == list(range(num_inks))
    assert all(0 < task.stop - task.start <= INKS_PER_TASK for task in tasks)


def test_sample_ids_are_unique(dataset: Path) -> None:
    """Two inks of one name would overwrite each other."""
    names = [name for _split, name, _document in documents(dataset)]
    ids = [annotations(document)["sampleId"] for _split, _name, document in documents(dataset)]
    assert len(set(names)) == len(set(ids)) == 90


def test_an_interruption_leaves_no_half_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tar that ends early looks whole to its readers."""
    written = 0

    def interrupt(*_: object) -> list[int]:
        nonlocal written
        written += 1
        if written > 30:
            raise KeyboardInterrupt
        return []

    monkeypatch.setattr(TarWriter, "append", interrupt)
    with pytest.raises(KeyboardInterrupt):
        generate(PARAMS, seed=1, out=tmp_path, jobs=1)
    assert list(tmp_path.iterdir()) == []
