"""Shards on the disk: written once, read by row, by us and by WebDataset."""

import hashlib
import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import webdataset
from PIL import Image

from latexify.artifacts.files import read_parquet, write_parquet
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import INDEX_NAME
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.format.png import encode_png
from latexify.shards.format.sample import EncodedSample
from latexify.shards.format.writer import ShardRecord, write_shard
from latexify.shards.reading.reader import MAX_OPEN_SHARDS, SampleReader

KEYS = ["train/HAMEX/formulaire001", "a%2Eb/ü/한글", "x", "long/" + "y" * 180, "HAMEX/x"]


def pixels_of(number: int) -> np.ndarray:
    """A picture that differs from all others."""
    return np.random.default_rng(number).integers(0, 256, (6, 11), dtype=np.uint8)


def encoded(key: str, number: int) -> EncodedSample:
    """A sample of `number` + 1 token ids."""
    return EncodedSample(
        key=key,
        label=f"x^{{{number}}}",
        png=encode_png(pixels_of(number)),
        token_ids=np.arange(number + 1, dtype=np.int32),
        description={"label": f"$x^{number}$", "writer": None},
    )


def write_folder(folder: Path, keys: list[list[str]]) -> SplitIndex:
    """Write a shard folder of one split `train`, a shard for each list of keys, and open it."""
    folder.mkdir(exist_ok=True)
    numbers = iter(range(1000))
    written = [
        write_shard(folder, split="train", number=place, samples=[encoded(key, next(numbers)) for key in names])
        for place, names in enumerate(keys)
    ]
    write_parquet(folder / INDEX_NAME, pa.concat_tables([rows for _, rows in written]))
    splits = {"train": split_entry([record for record, _ in written]), "valid": split_entry([])}
    content = {"splits": splits}
    params = {"height_px": 6, "width_px": 11}
    write_manifest(folder, Manifest(kind="shards", version=1, params=params, inputs={}, content=content))
    return open_split(folder, "train")


def split_entry(written: list[ShardRecord]) -> dict[str, object]:
    """What the manifest says of a split."""
    names = ("name", "num_samples", "num_bytes", "sha256")
    return {
        "num_samples": sum(shard.num_samples for shard in written),
        "shards": [{name: getattr(shard, name) for name in names} for shard in written],
    }


@pytest.fixture
def index(tmp_path: Path) -> SplitIndex:
    """Two shards with five samples."""
    return write_folder(tmp_path / "shards", [KEYS[:3], KEYS[3:]])


def test_read_returns_what_was_written_in_the_order_asked(index: SplitIndex) -> None:
    """The trainer would pair pictures with the labels of others."""
    assert len(index) == len(KEYS)
    with SampleReader(index) as reader:
        for rows in ([4, 0, 3, 1, 2, 0], np.array([2, 4])):
            samples = reader.read(rows)
            for row, sample in zip(rows, samples, strict=True):
                assert (sample.key, sample.label) == (KEYS[row], f"x^{{{row}}}")
                assert np.array_equal(sample.pixels, pixels_of(row))
                assert sample.token_ids.tolist() == list(range(row + 1))
                assert sample.pixels.dtype == np.uint8
                assert sample.token_ids.dtype == np.int32


def test_index_columns_line_up(index: SplitIndex) -> None:
    """The plan groups by length and shard: a wrong column would undo both without any error."""
    assert index.keys.to_pylist() == KEYS
    assert index.num_tokens.tolist() == [1, 2, 3, 4, 5]
    assert [index.shards[shard] for shard in index.shard_ids] == ["train-00000.tar"] * 3 + ["train-00001.tar"] * 2


def test_describe_returns_the_json(index: SplitIndex) -> None:
    """The judge reports raw labels; they are nowhere else."""
    with SampleReader(index) as reader:
        assert reader.describe([3, 0])[0] == {"label": "$x^3$", "writer": None}


def test_reader_can_be_sent_to_a_worker(index: SplitIndex) -> None:
    """Data loader workers that are spawned get the reader pickled, also one that was used before."""
    with SampleReader(index) as reader:
        reader.read([0])
        with pickle.loads(pickle.dumps(reader)) as other:  # noqa: S301  # our own bytes
            assert other.read([4])[0].key == KEYS[4]


def test_reader_keeps_few_files_open(tmp_path: Path) -> None:
    """MathWriting has hundreds of shards, and systems allow 1,024 open files."""
    num_shards = MAX_OPEN_SHARDS + 5
    index = write_folder(tmp_path / "many", [[f"k{number}"] for number in range(num_shards)])
    with SampleReader(index) as reader:
        order = [*range(num_shards), 0, 1]
        assert [sample.key for sample in reader.read(order)] == [f"k{number}" for number in order]
        assert len(reader._files) == MAX_OPEN_SHARDS
    assert not reader._files


def test_webdataset_reads_our_shards(index: SplitIndex) -> None:
    """Users with their own WebDataset pipelines take the shards as they are."""
    urls = [str(index.folder / name) for name in index.shards]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False))
    assert [sample["__key__"] for sample in samples] == KEYS
    for number, sample in enumerate(samples):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(sample["png"]))), pixels_of(number))
        assert np.load(io.BytesIO(sample["ids.npy"])).tolist() == list(range(number + 1))
        assert json.loads(sample["json"])["label"] == f"$x^{number}$"


def test_shards_carry_nothing_of_the_machine(index: SplitIndex) -> None:
    """Clock, user or umask in a tar would make DVC see new data in every run."""
    with tarfile.open(str(index.folder / index.shards[0])) as tar:
        members = tar.getmembers()
    assert [Path(member.name).name for member in members[:3]] == [
        "formulaire001.png",
        "formulaire001.ids.npy",
        "formulaire001.json",
    ]
    facts = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.isfile()) for m in members}
    assert facts == {(0, 0, 0, "", "", 0o644, True)}


def test_written_shard_tells_its_size_and_hash(tmp_path: Path) -> None:
    """The manifest's hashes would condemn whole shards, or pass damaged ones."""
    written, _ = write_shard(tmp_path, split="test", number=7, samples=[encoded("a", 1)])
    data = (tmp_path / "test-00007.tar").read_bytes()
    assert (written.name, written.num_bytes) == ("test-00007.tar", len(data))
    assert written.sha256 == hashlib.sha256(data).hexdigest()


def test_a_shard_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Half a shard would be taken for a whole one."""
    with pytest.raises(LatexifyError, match="percent-encode"):
        write_shard(tmp_path, split="train", number=0, samples=[encoded("good", 1), encoded("not.good", 2)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["", "a.b", "/a", "a//b", "a/", "__a__", "a\0b"])
def test_keys_that_tar_readers_would_misread_are_refused(tmp_path: Path, key: str) -> None:
    """WebDataset would group the sample under another name, or skip it, without a word."""
    with pytest.raises(LatexifyError, match="cannot name a sample"):
        write_shard(tmp_path, split="train", number=0, samples=[encoded(key, 1)])


def test_damage_is_named(index: SplitIndex) -> None:
    """A training run must say which sample of which shard is broken, not crash in a decoder or train on noise."""
    path = index.folder / index.shards[0]
    whole = path.read_bytes()
    last_id = int(index.ids_offset[1] + index.ids_bytes[1]) - 4
    for offset in (int(index.png_offset[1]) + 50, int(index.ids_offset[1]) + 3, last_id):
        damaged = bytearray(whole)
        damaged[offset] ^= 0xFF
        path.write_bytes(bytes(damaged))
        with SampleReader(index) as reader, pytest.raises(LatexifyError, match=r"train-00000.tar: sample a%2Eb/ü"):
            reader.read([0, 1])
    damaged = bytearray(whole)
    damaged[int(index.json_offset[1]) + 12] ^= 1
    path.write_bytes(bytes(damaged))
    with SampleReader(index) as reader, pytest.raises(LatexifyError, match="CRC-32 of its JSON"):
        reader.describe([0, 1])
    path.write_bytes(whole[: int(index.ids_offset[2])])
    with SampleReader(index) as reader, pytest.raises(LatexifyError, match="ends before"):
        reader.read([2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "latexify rasterize"),
        (lambda folder: (folder / "index.parquet").unlink(), r"index.parquet cannot be read"),
        (lambda folder: (folder / "index.parquet").write_bytes(b"no"), r"index.parquet cannot be read"),
        (lambda folder: (folder / "train-00001.tar").unlink(), r"train-00001.tar is missing"),
        (lambda folder: (folder / "train-00001.tar").write_bytes(b"no"), r"train-00001.tar has 2 bytes"),
    ],
)
def test_incomplete_folders_are_refused(index: SplitIndex, spoil: object, message: str) -> None:
    """A partial download must fail before training begins, and say what to do."""
    assert callable(spoil)
    spoil(index.folder)
    with pytest.raises(LatexifyError, match=message):
        open_split(index.folder, "train")


def test_index_of_other_shards_is_refused(index: SplitIndex, tmp_path: Path) -> None:
    """Offsets of another run would read garbage."""
    other = write_folder(tmp_path / "other", [["one"]])
    (index.folder / "index.parquet").write_bytes((other.folder / "index.parquet").read_bytes())
    with pytest.raises(LatexifyError, match="does not match the manifest"):
        open_split(index.folder, "train")


@pytest.mark.parametrize("name", ["../../etc/train-00000.tar", "/etc/passwd", "train-00000.tar/..", "train.tar"])
def test_shards_outside_the_folder_are_refused(index: SplitIndex, name: str) -> None:
    """A manifest from a stranger must not make us read, or keep copies, anywhere else."""
    path = index.folder / "manifest.json"
    path.write_text(path.read_text().replace('"train-00000.tar"', json.dumps(name)))
    with pytest.raises(LatexifyError, match="names a shard that we never write"):
        open_split(index.folder, "train")


@pytest.mark.parametrize("column", ["png_offset", "png_bytes", "ids_offset", "ids_bytes", "json_offset", "json_bytes"])
@pytest.mark.parametrize("value", [-1, 0, 2**62, 2**63 - 1, -(2**63)])
def test_samples_outside_their_shard_are_refused(index: SplitIndex, column: str, value: int) -> None:
    """Reading them would ask for memory without limit, or for bytes of other samples."""
    if (column, value) == ("png_offset", 0):
        return  # the header of the first member: a wrong place, but within; its CRC-32 tells
    path = index.folder / "index.parquet"
    table = read_parquet(path)
    values = table[column].to_pylist()
    values[2] = value
    place = table.schema.get_field_index(column)
    write_parquet(path, table.set_column(place, table.schema.field(place), pa.array(values, pa.int64())))
    with pytest.raises(LatexifyError, match="does not match the manifest"):
        open_split(index.folder, "train")


def test_an_index_of_an_older_format_is_refused(index: SplitIndex) -> None:
    """Shards of before the CRC-32 would stop training with a traceback."""
    path = index.folder / "index.parquet"
    write_parquet(path, read_parquet(path).drop_columns(["sample_crc32"]))
    with pytest.raises(LatexifyError, match="older latexify"):
        open_split(index.folder, "train")


def test_unknown_and_empty_splits_are_refused(index: SplitIndex) -> None:
    """A misspelt split must not become an epoch of nothing."""
    with pytest.raises(LatexifyError, match="has no split 'tset': it has train, valid"):
        open_split(index.folder, "tset")
    with pytest.raises(LatexifyError, match=r"'valid' in .* is empty"):
        open_split(index.folder, "valid")
