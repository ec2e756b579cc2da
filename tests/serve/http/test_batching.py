"""Batches form from what waits, and nobody waits for nothing."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from latexify.serve.http.batching import Batcher, Places
from latexify.serve.http.http_errors import HttpError
from latexify.serve.recognizer import Picture, Recognition


class Slow:
    """A recogniser that answers with the picture's number once it is let go."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, list[int]]] = []
        self.gate = threading.Event()
        self.gate.set()

    def read(self, pictures: Sequence[Picture], *, num_beams: int) -> list[Recognition]:
        numbers = [int(picture[0, 0]) for picture in pictures]
        self.batches.append((num_beams, numbers))
        self.gate.wait(timeout=10)
        if 99 in numbers:
            raise RuntimeError("out of memory")
        return [Recognition(latex=str(number), confidence=1, elapsed_s=0) for number in numbers]

    def batch_done(self, *, size: int, elapsed_s: float) -> None:
        assert (size, elapsed_s > 0) == (len(self.batches[-1][1]), True)


def picture(number: int) -> Picture:
    """One that the recogniser knows again."""
    return np.full((1, 1), number, dtype=np.uint8)


def with_batcher(
    slow: Slow, scene: Callable[[Batcher], Awaitable[None]], *, max_batch: int = 4, max_wait_s: float = 0
) -> None:
    """Play a scene with a running batcher."""

    async def play() -> None:
        with ThreadPoolExecutor(1) as thread:
            batcher = Batcher(slow, thread=thread, max_batch=max_batch, max_wait_s=max_wait_s, watcher=slow)
            life = asyncio.create_task(batcher.run())
            try:
                await scene(batcher)
            finally:
                slow.gate.set()
                life.cancel()
                await asyncio.wait({life})

    asyncio.run(play())


async def started(slow: Slow, count: int) -> None:
    """Wait until so many batches were begun."""
    async with asyncio.timeout(10):
        while len(slow.batches) < count:  # noqa: ASYNC110  # they begin in a thread
            await asyncio.sleep(0.001)


def test_what_waits_is_read_together_and_answered_apart() -> None:
    """While one is read, five come: the next batches are of four and one, and nobody gets another's answer."""
    slow = Slow()

    async def scene(batcher: Batcher) -> None:
        slow.gate.clear()
        first = asyncio.create_task(batcher.read(picture(1), num_beams=1))
        await started(slow, 1)
        others = [asyncio.create_task(batcher.read(picture(number), num_beams=1)) for number in range(2, 7)]
        await asyncio.sleep(0)
        assert batcher.num_waiting == 5
        slow.gate.set()
        found = await asyncio.gather(first, *others)
        assert [answer.latex for answer in found] == ["1", "2", "3", "4", "5", "6"]
        assert batcher.num_waiting == 0

    with_batcher(slow, scene)
    assert slow.batches == [(1, [1]), (1, [2, 3, 4, 5]), (1, [6])]


def test_searches_of_different_width_are_not_mixed() -> None:
    """A batch has one number of beams; those of another wait for the next, but not for ever."""
    slow = Slow()

    async def scene(batcher: Batcher) -> None:
        slow.gate.clear()
        first = asyncio.create_task(batcher.read(picture(0), num_beams=1))
        await started(slow, 1)
        others = [asyncio.create_task(batcher.read(picture(n), num_beams=1 + n % 2)) for n in range(1, 5)]
        await asyncio.sleep(0)
        slow.gate.set()
        assert [found.latex for found in await asyncio.gather(first, *others)] == ["0", "1", "2", "3", "4"]

    with_batcher(slow, scene)
    assert slow.batches == [(1, [0]), (2, [1, 3]), (1, [2, 4])]


def test_who_leaves_is_not_read() -> None:
    """A closed browser tab costs the others nothing."""
    slow = Slow()

    async def scene(batcher: Batcher) -> None:
        slow.gate.clear()
        first = asyncio.create_task(batcher.read(picture(1), num_beams=1))
        await started(slow, 1)
        leaving = asyncio.create_task(batcher.read(picture(2), num_beams=1))
        staying = asyncio.create_task(batcher.read(picture(3), num_beams=1))
        await asyncio.sleep(0)
        leaving.cancel()
        first.cancel()  # while it is being read
        await asyncio.wait({leaving, first})
        assert batcher.num_waiting == 1
        slow.gate.set()
        assert (await staying).latex == "3"

    with_batcher(slow, scene)
    assert slow.batches == [(1, [1]), (1, [3])]


def test_a_failure_reaches_those_it_concerns_and_no_others() -> None:
    """A batch that the model cannot read must not end the service."""
    slow = Slow()

    async def scene(batcher: Batcher) -> None:
        with pytest.raises(RuntimeError, match="out of memory"):
            await batcher.read(picture(99), num_beams=1)
        assert (await batcher.read(picture(1), num_beams=1)).latex == "1"

    with_batcher(slow, scene)


def test_company_is_waited_for_only_where_there_was_some() -> None:
    """A lone client never waits; after a batch of two, one alone waits a moment for the other."""
    slow = Slow()

    async def scene(batcher: Batcher) -> None:
        for number in range(3):
            started_s = time.perf_counter()
            await batcher.read(picture(number), num_beams=1)
            assert time.perf_counter() - started_s < 0.4
        slow.gate.clear()
        first = asyncio.create_task(batcher.read(picture(3), num_beams=1))
        await started(slow, 4)
        pair = [asyncio.create_task(batcher.read(picture(number), num_beams=1)) for number in (4, 5)]
        await asyncio.sleep(0)
        slow.gate.set()
        await asyncio.gather(first, *pair)
        early = asyncio.create_task(batcher.read(picture(6), num_beams=1))
        await asyncio.sleep(0.05)
        assert len(slow.batches) == 5  # it waits
        late = asyncio.create_task(batcher.read(picture(7), num_beams=1))
        await asyncio.gather(early, late)
        assert slow.batches[-1] == (1, [6, 7])
        await batcher.read(picture(8), num_beams=1)  # the wait ends by itself

    with_batcher(slow, scene, max_wait_s=0.5)


def test_places_are_given_back() -> None:
    """Else a service that refused once would refuse for ever."""
    places = Places(3)
    with places.take(2):
        with pytest.raises(HttpError) as full, places.take(2):
            pass
        assert (full.value.status, full.value.headers) == (503, {"Retry-After": "1"})
        with places.take(1):
            assert places.taken == 3
    with pytest.raises(KeyError), places.take(3):
        raise KeyError
    assert places.taken == 0
    with pytest.raises(HttpError) as never, places.take(4):
        pass
    assert never.value.status == 413
