"""Shards as a webdataset pipeline: the same samples as our own reader gives."""

import sys
from pathlib import Path

import numpy as np
import pytest

from latexify.common.errors import LatexifyError
from latexify.shards import open_shards
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from tests.support.trainer_data import make_shards

pytest.importorskip("webdataset")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard folder with several shards."""
    folder = tmp_path_factory.mktemp("data") / "shards"
    make_shards(folder)
    return folder


def test_samples_equal_those_of_our_reader(folder: Path) -> None:
    """Users of webdataset must train on the same pictures and token ids, in the same order."""
    index = open_split(folder, "train")
    samples = list(open_shards(folder, "train"))
    with SampleReader(index) as reader:
        expected = reader.read(range(len(index)))
        descriptions = reader.describe(range(len(index)))
    assert [sample["__key__"] for sample in samples] == [sample.key for sample in expected]
    for sample, ours, description in zip(samples, expected, descriptions, strict=True):
        assert sample["pixels"].dtype == np.uint8
        assert np.array_equal(sample["pixels"], ours.pixels)
        assert sample["token_ids"].dtype == np.int32
        assert np.array_equal(sample["token_ids"], ours.token_ids)
        assert sample["json"] == description


def test_shuffling_changes_the_order_only(folder: Path) -> None:
    """One line is enough to train from."""
    plain = [sample["__key__"] for sample in open_shards(str(folder), "train")]
    pairs = list(open_shards(str(folder), "train", shuffle=100, seed=1).to_tuple("__key__", "pixels"))
    shuffled = [key for key, _ in pairs]
    assert sorted(shuffled) == sorted(plain)
    assert shuffled != plain


def test_a_damaged_sample_is_an_error_that_names_it(folder: Path, tmp_path: Path) -> None:
    """A flipped byte in a picture must not become noise to train on."""
    copy = tmp_path / "shards"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    index = open_split(copy, "train")
    tar = copy / index.shards[0]
    data = bytearray(tar.read_bytes())
    data[int(index.png_offset[0]) + 45] ^= 0xFF
    tar.write_bytes(bytes(data))
    with pytest.raises(LatexifyError, match=f"sample {index.keys[0].as_py()} cannot be read"):
        list(open_shards(copy, "train"))


def test_without_webdataset_the_error_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package webdataset is not a dependency of the project."""
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(LatexifyError, match="pip install webdataset"):
        open_shards(folder, "train")


def test_an_object_store_is_refused_in_one_line() -> None:
    """The package webdataset itself would fail with a traceback in a worker."""
    with pytest.raises(LatexifyError, match="SampleReader"):
        open_shards("memory://bucket/shards", "train")
