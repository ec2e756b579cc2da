"""Remote shards are fetched before they are read, within bounds, and without anybody noticing a failure twice."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.destroy.shard_damage import make_folder
from latexify.artifacts.location import location_of
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.reading.cache import ShardCache
from latexify.shards.reading.prefetch import MAX_WAITING, Prefetcher
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.data import batches
from latexify.trainer.data.specs import Position, micro_batch_specs, with_lookahead
from tests.support.trainer_data import quick_params


def until(is_true: Callable[[], object]) -> None:
    """Wait for what another thread does."""
    deadline_s = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SplitIndex:
    """Two remote shards of forty samples, and an empty cache."""
    monkeypatch.setenv("LATEXIFY_CACHE", str(tmp_path / "cache"))
    make_folder(tmp_path / "shards")
    store = location_of(f"memory://{tmp_path.name}")
    for path in (tmp_path / "shards").iterdir():
        (store / path.name).parent.mkdir(parents=True, exist_ok=True)
        (store / path.name).write_bytes(path.read_bytes())
    return open_split(store, "train")


def copies(tmp_path: Path) -> set[str]:
    """Names of the copies in the cache."""
    return {path.name for path in (tmp_path / "cache").glob("*.tar")}


def test_the_next_shard_comes_while_one_is_read(index: SplitIndex, tmp_path: Path) -> None:
    """Prediction reads shard after shard: it would wait for a whole one at each border."""
    with SampleReader(index) as reader:
        reader.read([0])
        until(lambda: copies(tmp_path) == {f"{sha256}.tar" for sha256 in index.shard_sha256})


def test_shards_ahead_are_fetched(index: SplitIndex, tmp_path: Path) -> None:
    """Training reads in an order that only the plan knows."""
    with SampleReader(index) as reader:
        reader.prefetch([1])
        until(lambda: copies(tmp_path) == {f"{index.shard_sha256[1]}.tar"})


def test_a_failed_prefetch_is_reported_by_the_reading(index: SplitIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost connection must neither vanish nor end the process from a thread that nobody watches."""
    tried = threading.Event()
    fetch = ShardCache.open

    def fail(*_: Any, **__: Any) -> int:
        tried.set()
        raise LatexifyError("no connection")

    monkeypatch.setattr(ShardCache, "open", fail)
    with SampleReader(index) as reader:
        reader.prefetch([1])
        assert tried.wait(10)
        with pytest.raises(LatexifyError, match="no connection"):
            reader.read([len(index) - 1])
        monkeypatch.setattr(ShardCache, "open", fetch)
        assert reader.read([len(index) - 1])


def test_only_so_many_wait() -> None:
    """A plan of a million shards must not fill memory; nor is one fetched twice that is asked for twice."""
    fetched: list[int] = []
    gate = threading.Event()

    def fetch(shard_id: int) -> None:
        gate.wait(10)
        fetched.append(shard_id)

    prefetcher = Prefetcher(fetch)
    for shard_id in [*range(1000), *range(1000)]:
        prefetcher.request(shard_id)
    gate.set()
    until(lambda: len(fetched) >= MAX_WAITING)
    prefetcher.close()
    assert len(fetched) == len(set(fetched)) <= MAX_WAITING + 2


def test_slices_name_every_shard_before_it_is_read(index: SplitIndex) -> None:
    """A shard that is never named is waited for; looking ahead must change nothing else."""
    params = quick_params()
    plain, ahead = (micro_batch_specs(index, params, seed=1, start=Position()) for _ in range(2))
    seen: set[int] = set()
    for number, found in zip(range(40), with_lookahead(ahead, shard_ids=index.shard_ids, num_ahead=3), strict=False):
        expected = next(plain)
        assert np.array_equal(found.rows, expected.rows)
        assert found.position == expected.position
        seen |= set(found.shards_ahead)
        assert set(np.unique(index.shard_ids[found.rows])) <= seen, number


def test_nothing_is_fetched_ahead_without_room(index: SplitIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would push out of the cache what is being read."""
    params = quick_params()
    assert batches._num_ahead(index, params) > 0
    monkeypatch.setenv("LATEXIFY_CACHE_GIB", str(3 * max(index.shard_bytes) / 2**30))
    assert batches._num_ahead(index, params) == 0
    assert os.environ["LATEXIFY_CACHE_GIB"]
