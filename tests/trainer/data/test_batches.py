"""The stream from shards to batches: any number of ranks and workers, any place, and every kind of damage."""

import math
import os
import pickle
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from moto.server import ThreadedMotoServer
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter
from upath import UPath

from latexify.artifacts.location import location_of
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import INDEX_SCHEMA, SplitIndex, open_split
from latexify.shards.format.png import encode_png
from latexify.shards.format.sample import EncodedSample, encode_ids
from latexify.shards.format.writer import write_shard
from latexify.shards.reading.plan import plan_epoch
from latexify.shards.reading.reader import DamagedSampleError, SampleReader
from latexify.trainer.config import TrainParams
from latexify.trainer.data.batches import MicroBatch, open_loader
from latexify.trainer.data.collate import IGNORE_INDEX
from latexify.trainer.data.loader_processes import close_loader, explain_dead_workers
from latexify.trainer.data.specs import Position
from latexify.trainer.loop.ranks import SINGLE_RANK, Ranks
from tests.support.trainer_data import make_sample, make_shards, quick_params

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more workers than cores, on purpose
SECONDS = pytest.mark.timeout(60)
"""A stream that hangs must fail its test; all of them take a second or two."""


@pytest.fixture
def own_shards(shards: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(shards, tmp_path / "shards"))


def stream(
    index: SplitIndex, params: TrainParams, *, count: int, ranks: Ranks = SINGLE_RANK
) -> list[MicroBatch | LatexifyError]:
    """The first `count` items of the loader, and its processes ended."""
    batches = iter(open_loader(index, params, seed=1, start=Position(), pin_memory=False, ranks=ranks))
    try:
        with explain_dead_workers():
            return list(islice(batches, count))
    finally:
        close_loader(batches)


def whole(found: list[MicroBatch | LatexifyError]) -> list[MicroBatch]:
    """All of them must be batches."""
    assert not [item for item in found if isinstance(item, LatexifyError)], found
    return [item for item in found if isinstance(item, MicroBatch)]


def flip(path: Path, offset: int) -> None:
    """Flip a bit of a file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@SECONDS
@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize("workers", [0, 2])
def test_ranks_share_every_global_batch(shards: Path, world_size: int, workers: int) -> None:
    """Two cards would train another model than one, or wait for each other for ever."""
    index = open_split(shards, "train")
    params = quick_params(global_batch=8, micro_batch=2, loader_workers=workers)
    plan = plan_epoch(index.num_tokens, index.shard_ids, seed=1, epoch=0, global_batch=8)
    parts = math.ceil(math.ceil(8 / world_size) / 2)
    ranks = [
        whole(stream(index, params, count=5 * parts, ranks=Ranks(rank=rank, world_size=world_size)))
        for rank in range(world_size)
    ]
    for number, rows in enumerate(plan.rows):
        of_batch = [rank[number * parts : (number + 1) * parts] for rank in ranks]
        micros = [micro for rank in of_batch for micro in rank]
        assert {micro.spec.position.batch for micro in micros} == {number}
        assert sorted(np.concatenate([micro.spec.rows for micro in micros])) == sorted(rows)
        assert {micro.spec.global_tokens for micro in micros} == {int(index.num_tokens[rows].sum())}
        assert [[micro.spec.is_last for micro in rank] for rank in of_batch] == [
            [False] * (parts - 1) + [True]
        ] * world_size
        assert sum(int((micro.labels != IGNORE_INDEX).sum()) for micro in micros) == micros[0].spec.global_tokens


@SECONDS
@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("num_train", [2, 3, 9])
def test_small_splits_do_not_hang(tmp_path: Path, workers: int, num_train: int) -> None:
    """More workers than shards, and fewer samples than a batch, starve other loaders."""
    make_shards(tmp_path / "shards", num_train=num_train, num_valid=2)
    found = whole(stream(open_split(tmp_path / "shards", "train"), quick_params(loader_workers=workers), count=7))
    assert len(found) == 7
    assert found[-1].spec.position.epoch >= 2


@SECONDS
@pytest.mark.parametrize("workers", [0, 4])
def test_a_single_sample_is_a_stream(tmp_path: Path, workers: int) -> None:
    """Trying a model on one ink is the first thing people do."""
    make_shards(tmp_path / "shards", num_train=2, num_valid=2)
    index = open_split(tmp_path / "shards", "train")
    arrays = (np.ndarray, pa.Array)
    columns = {name: getattr(index, name) for name in index.__slots__ if isinstance(getattr(index, name), arrays)}
    one = replace(index, **{name: column[:1] for name, column in columns.items()})
    assert len(one) == 1
    found = whole(stream(one, quick_params(loader_workers=workers), count=5))
    assert [micro.spec.rows.tolist() for micro in found] == [[0]] * 5


def test_more_ranks_than_samples_are_refused(tmp_path: Path) -> None:
    """A rank without a sample would leave the others waiting in their first exchange of gradients."""
    make_shards(tmp_path / "shards", num_train=4, num_valid=2)
    index = open_split(tmp_path / "shards", "train")
    with pytest.raises(LatexifyError, match=r"5 ranks cannot share a global batch of 4 samples .*or start fewer ranks"):
        stream(index, quick_params(), count=1, ranks=Ranks(rank=4, world_size=5))
    with pytest.raises(LatexifyError, match=r"in micro-batches of 1: make train.global_batch a multiple of 3"):
        stream(index, quick_params(micro_batch=1), count=1, ranks=Ranks(rank=0, world_size=3))


@SECONDS
@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_sample_keeps_its_place(own_shards: Path, workers: int) -> None:
    """If the batch got smaller, the ranks that do not see the damage would divide the loss by another number."""
    index = open_split(own_shards, "train")
    params = quick_params(loader_workers=workers)
    before = whole(stream(index, params, count=10))
    row = int(before[3].spec.rows[1])
    flip(own_shards / index.shards[index.shard_ids[row]], int(index.ids_offset[row] + index.ids_bytes[row]) - 4)
    after = whole(stream(index, params, count=10))
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        assert old.spec.global_tokens == new.spec.global_tokens
        assert np.array_equal(old.spec.rows, new.spec.rows)
        assert [damage.row for damage in new.damaged] == ([row] if number == 3 else [])
        labels, pixels = old.labels.clone(), old.pixels.clone()
        if number == 3:
            labels[1], pixels[1] = IGNORE_INDEX, 255
            assert index.keys[row].as_py() in new.damaged[0].reason
        assert torch.equal(new.labels, labels)
        assert torch.equal(new.pixels, pixels)


@SECONDS
@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_shard_is_an_error(own_shards: Path, workers: int) -> None:
    """Thousands of samples left out one by one would be another data set."""
    index = open_split(own_shards, "train")
    path = own_shards / index.shards[1]
    path.write_bytes(path.read_bytes()[:2000])
    found = stream(index, quick_params(loader_workers=workers), count=10)
    errors = {str(item).partition(" ")[0] for item in found if isinstance(item, LatexifyError)}
    assert errors == {str(path)}
    path.unlink()
    found = stream(index, quick_params(loader_workers=workers), count=10)
    assert any("No such file" in str(item) for item in found if isinstance(item, LatexifyError))


@explain_dead_workers()
def kill_and_read_on(batches: Iterator[MicroBatch | LatexifyError]) -> None:
    """For long enough to notice."""
    assert isinstance(batches, _MultiProcessingDataLoaderIter)
    worker_id = batches._workers[0].pid
    assert worker_id is not None
    os.kill(worker_id, signal.SIGKILL)
    list(islice(batches, 1000))


@SECONDS
def test_a_killed_worker_is_one_line(shards: Path) -> None:
    """The system kills what takes too much memory; a traceback from inside torch would not say so."""
    index = open_split(shards, "train")
    loader = open_loader(index, quick_params(loader_workers=1), seed=1, start=Position(), pin_memory=False)
    batches = iter(loader)
    try:
        next(batches)
        with pytest.raises(LatexifyError, match="a loader process died") as caught:
            kill_and_read_on(batches)
        assert "\n" not in str(caught.value)
    finally:
        close_loader(batches)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of copies."""
    monkeypatch.setenv("LATEXIFY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def s3(shards: Path) -> Iterator[str]:
    """The shards on a server that speaks S3; yields their URL."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        folder = location_of("s3://latexify/shards")
        assert isinstance(folder, UPath)
        folder.parent.mkdir()
        folder.fs.put(f"{shards}/", f"{folder.path}/", recursive=True)
        yield str(folder)
    server.stop()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_shards_stream_from_an_object_store(shards: Path, s3: str, cache: Path, workers: int) -> None:
    """Clusters keep their data there; forked loader processes must not use the connections of their parent."""
    params = quick_params(loader_workers=workers)
    expected = whole(stream(open_split(shards, "train"), params, count=12))
    found = whole(stream(open_split(location_of(s3), "train"), params, count=12))
    for here, there in zip(expected, found, strict=True):
        assert np.array_equal(here.spec.rows, there.spec.rows)
        assert torch.equal(here.pixels, there.pixels)
        assert torch.equal(here.labels, there.labels)
    assert len(list(cache.glob("*.tar"))) == 2
    assert not list(cache.glob(".*.tmp"))


@pytest.mark.timeout(120)
def test_damage_in_an_object_store_is_named(shards: Path, s3: str, cache: Path) -> None:
    """A shard that was replaced by hand has the right size, perhaps, but not the hash of the manifest."""
    index = open_split(location_of(s3), "valid")
    name = index.shards[0]
    content = bytearray((shards / name).read_bytes())
    content[700] ^= 1
    (index.folder / name).write_bytes(bytes(content))
    with SampleReader(index) as reader, pytest.raises(LatexifyError, match=rf"{name} cannot be fetched .*SHA-256"):
        reader.read([0])
    (index.folder / name).unlink()
    with SampleReader(index) as reader, pytest.raises(LatexifyError, match=rf"{name}: FileNotFound.*no such bucket"):
        reader.read([0])
    assert isinstance(index.folder, UPath)
    index.folder.fs.invalidate_cache()
    with pytest.raises(LatexifyError, match=rf"{name} is missing"):
        open_split(index.folder, "valid")
    assert not list(cache.glob("*.tar"))


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("/tmp/latexify-was-executed",))  # noqa: S108  # must never come into being


def hostile_ids() -> dict[str, bytes]:
    """Token ids as somebody would write them who means harm, or who does not know the format."""
    array = np.array([_Bomb()], dtype=object)
    header = encode_ids(np.arange(3, dtype=np.int32))[:128]
    return {
        "pickle": b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(118)
        + pickle.dumps(array),
        "huge": header.replace(b"(3,)", b"(99999999999999,)").replace(b" " * 13, b"", 1),
        "code": header.replace(b"(3,)", b"exit()") + bytes(12),
        "floats": header.replace(b"<i4", b"<f4") + bytes(12),
        "short": header + bytes(8),
        "empty": b"\0",
    }


@pytest.mark.parametrize("kind", list(hostile_ids()))
def test_hostile_ids_are_damage(own_shards: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Shards are downloaded from anywhere; opening them must not run, or allocate, what their author likes."""
    monkeypatch.setattr("latexify.shards.format.writer.encode_ids", lambda _ids: hostile_ids()[kind])
    check_damage(own_shards, make_sample("train", 0, content_of="train"))


def png_of(width_px: int) -> bytes:
    """A white picture of 16 lines."""
    return encode_png(np.full((16, width_px), 255, dtype=np.uint8))


@pytest.mark.parametrize("png", [b"GIF89a", png_of(63), png_of(64)[:60], png_of(50_000)], ids=len)
def test_hostile_pictures_are_damage(own_shards: Path, png: bytes) -> None:
    """A picture of another size would fail in the middle of a batch, without a name."""
    check_damage(own_shards, replace(make_sample("train", 0, content_of="train"), png=png))


def check_damage(folder: Path, sample: EncodedSample) -> None:
    """Write `sample` as its own shard with matching check sums: reading it is damage, and nothing else."""
    written, rows = write_shard(folder, split="train", number=7, samples=[sample])
    index = open_split(folder, "train")
    numbers = {field.name for field in INDEX_SCHEMA if pa.types.is_integer(field.type)}
    alone = replace(
        index,
        shards=[written.name],
        shard_ids=np.zeros(1, np.int32),
        keys=rows["key"].combine_chunks(),
        labels=rows["label"].combine_chunks(),
        **{name: rows[name].to_numpy() for name in numbers},
    )
    with SampleReader(alone) as reader, pytest.raises(DamagedSampleError, match=r"train-00007.tar: sample train/0000"):
        reader.read([0])
    assert not Path("/tmp/latexify-was-executed").exists()  # noqa: S108
