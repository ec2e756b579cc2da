"""Copies of remote shards: bounded, checked, and shared by processes."""

import hashlib
import multiprocessing
import os
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from upath import UPath

from latexify.artifacts.location import location_of
from latexify.common.errors import LatexifyError
from latexify.shards.reading.cache import ShardCache

SHARD_BYTES = 1000


def content_of(number: int) -> bytes:
    """The bytes of an imaginary shard."""
    return bytes([number]) * SHARD_BYTES


def remote(folder: str, number: int) -> UPath:
    """That shard, in a store in memory."""
    place = location_of(f"memory://{folder}/train-{number:05d}.tar")
    assert isinstance(place, UPath)
    place.write_bytes(content_of(number))
    return place


def read(cache: ShardCache, source: UPath, number: int) -> bytes:
    """Through the cache."""
    file = cache.open(source, num_bytes=SHARD_BYTES, sha256=hashlib.sha256(content_of(number)).hexdigest())
    try:
        return os.pread(file, SHARD_BYTES + 1, 0)
    finally:
        os.close(file)


def kept(cache: ShardCache) -> set[int]:
    """Numbers of the shards that have copies."""
    return {path.read_bytes()[0] for path in cache.folder.glob("*.tar")}


@pytest.fixture
def cache(tmp_path: Path) -> ShardCache:
    """Room for three shards."""
    return ShardCache(folder=tmp_path / "cache", limit_bytes=3 * SHARD_BYTES)


def test_a_shard_is_fetched_once(cache: ShardCache, tmp_path: Path) -> None:
    """Every epoch would pay for the traffic again."""
    source = remote(tmp_path.name, 1)
    assert read(cache, source, 1) == content_of(1)
    source.unlink()
    assert read(cache, source, 1) == content_of(1)


def test_the_least_recently_used_copies_go(cache: ShardCache, tmp_path: Path) -> None:
    """A cache without a bound fills the disk; one that drops what is in use fetches it again and again."""
    for number in range(3):
        read(cache, remote(tmp_path.name, number), number)
        age(cache, seconds=10)
    read(cache, remote(tmp_path.name, 0), 0)
    read(cache, remote(tmp_path.name, 3), 3)
    assert kept(cache) == {0, 2, 3}


def age(cache: ShardCache, *, seconds: float) -> None:
    """Let time pass for every file."""
    for path in cache.folder.iterdir():
        facts = path.stat()
        os.utime(path, (facts.st_atime - seconds, facts.st_mtime - seconds))


def test_a_shard_larger_than_the_cache_is_still_read(tmp_path: Path) -> None:
    """A limit that was set too low must slow a training down, not end it."""
    cache = ShardCache(folder=tmp_path / "cache", limit_bytes=10)
    for number in (0, 1, 0):
        assert read(cache, remote(tmp_path.name, number), number) == content_of(number)
        assert kept(cache) == {number}


def test_copies_that_a_crash_cut_off_are_fetched_again(cache: ShardCache, tmp_path: Path) -> None:
    """A machine that lost power leaves files without their content."""
    source = remote(tmp_path.name, 1)
    read(cache, source, 1)
    next(cache.folder.glob("*.tar")).write_bytes(b"")
    assert read(cache, source, 1) == content_of(1)


def test_what_killed_processes_left_is_removed(cache: ShardCache, tmp_path: Path) -> None:
    """Unfinished copies would pile up beyond the limit; young ones may be somebody's."""
    cache.folder.mkdir()
    for name in (".old.tar.1.tmp", ".new.tar.2.tmp"):
        (cache.folder / name).touch()
    os.utime(cache.folder / ".old.tar.1.tmp", (0, 0))
    read(cache, remote(tmp_path.name, 1), 1)
    assert [path.name for path in cache.folder.glob(".*.tmp")] == [".new.tar.2.tmp"]


def test_other_bytes_than_the_manifests_are_refused(
    cache: ShardCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples of another run would be read at the places of this one."""
    monkeypatch.setattr("latexify.shards.reading.cache._FIRST_PAUSE_S", 0.0)
    with pytest.raises(LatexifyError, match=r"train-00001.tar cannot be fetched \(its SHA-256 is"):
        read(cache, remote(tmp_path.name, 1), 2)
    assert not [path for path in cache.folder.iterdir() if path.suffix != ".lock"]


def test_a_short_failure_of_the_network_is_survived(
    cache: ShardCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training of days must not end with one lost connection."""
    source = remote(tmp_path.name, 1)
    get_file, failures = type(source.fs).get_file, [ConnectionResetError("reset"), TimeoutError()]

    def fail_first(*arguments: object, **named: object) -> None:
        if failures:
            raise failures.pop()
        get_file(*arguments, **named)

    monkeypatch.setattr("latexify.shards.reading.cache._FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(type(source.fs), "get_file", fail_first)
    assert read(cache, source, 1) == content_of(1)
    failures += [ConnectionResetError("reset")] * 3
    with pytest.raises(LatexifyError, match=r"cannot be fetched \(ConnectionResetError: reset\)"):
        read(cache, remote(tmp_path.name, 2), 2)


def test_a_full_disk_is_one_line(cache: ShardCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user must learn which folder is full, and how to choose another."""
    source = remote(tmp_path.name, 1)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(source.fs), "get_file", full)
    with pytest.raises(LatexifyError, match=r"cache \(.*No space left on device\): set LATEXIFY_CACHE"):
        read(cache, source, 1)


def test_the_environment_sets_place_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Home folders of clusters are small."""
    monkeypatch.setenv("LATEXIFY_CACHE", str(tmp_path))
    monkeypatch.setenv("LATEXIFY_CACHE_GIB", "0.5")
    assert ShardCache.from_environment() == ShardCache(folder=tmp_path, limit_bytes=2**29)
    for text in ("", "many", "-1", "nan", "inf"):
        monkeypatch.setenv("LATEXIFY_CACHE_GIB", text)
        with pytest.raises(LatexifyError, match=r"LATEXIFY_CACHE_GIB=.* is not a number of GiB"):
            ShardCache.from_environment()


def _read_many(cache: ShardCache, source: str, log: Path, together: Barrier) -> None:
    """In a process of its own: read eight shards, some twice, and note every fetch."""
    files = type(UPath(source).fs)
    get_file = files.get_file

    def noted(self: object, path: str, *rest: object, **named: object) -> None:
        with log.open("a") as lines:
            lines.write(path + "\n")
        get_file(self, path, *rest, **named)

    files.get_file = noted
    together.wait()
    for number in [*range(8), 7, 6]:
        assert read(cache, UPath(source) / f"train-{number:05d}.tar", number) == content_of(number)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("room", [3, 8])
def test_many_processes_share_a_cache(cache: ShardCache, tmp_path: Path, room: int) -> None:
    """Ranks and loader processes of one machine read the same shards at the same time, also where room is short."""
    cache = replace(cache, limit_bytes=room * SHARD_BYTES)
    for number in range(8):
        remote(tmp_path.name, number)  # forked processes have the store's memory
    log, context = tmp_path / "log", multiprocessing.get_context("fork")
    arguments = (cache, f"memory://{tmp_path.name}", log, context.Barrier(4))
    processes = [context.Process(target=_read_many, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert not list(cache.folder.glob(".*.tmp"))
    if room == 8:
        assert len(log.read_text().splitlines()) == 8
