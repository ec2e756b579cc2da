"""Shards as Hugging Face `datasets` loads them."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from latexify.pipeline.engine.engine import Engine
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.shards.verify.verify import verify
from tests.support.rasterize_data import Rasterize, ink_row, write_inks

NUM_INFERRED = 5  # samples from which `datasets` infers the types of a webdataset
NUM_SAMPLES = 12


@pytest.fixture
def shards(rasterize: Rasterize, tmp_path: Path) -> Path:
    """Shards whose first samples have no writer, unlike the others."""
    rows = [ink_row(number, split, "ab") for split in ("train", "valid", "test") for number in range(NUM_SAMPLES)]
    for row in rows:  # keys are in the order of numbers, and shards in the order of keys
        number = int(row["key"][-3:])
        row |= {"key": f"{row['split']}/ink{number:03d}", "writer": "somebody" if number > NUM_INFERRED else None}
    rasterize(write_inks(tmp_path / "mine", rows))
    return tmp_path / "out"


def descriptions(shards: Path) -> list[dict[str, Any]]:
    """The JSON of the samples of one split, in the order of the tars."""
    found = []
    for path in sorted(shards.glob("valid-*.tar")):
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name.endswith(".json"):
                    content = archive.extractfile(member)
                    assert content is not None
                    found.append(json.loads(content.read()))
    return found


def test_types_of_the_first_samples_are_those_of_all(shards: Path) -> None:
    """What `datasets` does: the type of a column that is null at first is null, and no text can be cast to it."""
    found = descriptions(shards)
    assert len(found) == NUM_SAMPLES
    inferred = pa.Table.from_pylist(found[:NUM_INFERRED]).schema
    assert pa.Table.from_pylist(found).cast(inferred).num_rows == NUM_SAMPLES
    assert inferred.field("writer").type == pa.string()


def test_no_writer_is_none_for_our_readers(shards: Path) -> None:
    """The table by writer must not have a writer without a name; and what is written must pass `verify`."""
    with SampleReader(open_split(shards, "valid")) as reader:
        writers = [description["writer"] for description in reader.describe(range(NUM_SAMPLES))]
    assert writers.count(None) == NUM_INFERRED + 1
    assert set(writers) == {None, "somebody"}
    assert verify(shards, encode=None, engine=Engine(backend="sequential")).shown == []


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_loads_shards_both_ways(shards: Path, tmp_path: Path, *, streaming: bool) -> None:
    """The Hub's viewer and `push_to_hub` convert, training scripts stream."""
    datasets = pytest.importorskip("datasets")
    files = {"valid": [str(path) for path in sorted(shards.glob("valid-*.tar"))]}
    options = {"cache_dir": str(tmp_path / "cache"), "streaming": streaming}
    loaded = list(datasets.load_dataset("webdataset", data_files=files, split="valid", **options))
    assert [sample["json"] for sample in loaded] == descriptions(shards)
    assert [sample["png"].size for sample in loaded] == [(40, 16)] * NUM_SAMPLES
