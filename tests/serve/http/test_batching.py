"""Batches form from the pictures that wait, and no client waits in vain."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

from latexify.serve.http.batching import Batcher, ItemSlots, ModelEndedError, SearchOptions
from latexify.serve.http.http_errors import HttpError
from latexify.serve.recognizer import Picture, Recognition


class SlowRecognizer:
    """A recogniser that answers with the picture's number once its gate is open."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, list[int]]] = []
        self.symbols: list[str | None] = []  # that each batch is limited to
        self.gate = threading.Event()
        self.gate.set()

    def read(
        self, pictures: Sequence[Picture], *, num_beams: int, num_drawings: int, only: str | None
    ) -> list[Recognition]:
        assert num_drawings == 1
        numbers = [int(picture[0, 0]) for picture in pictures]
        self.batches.append((num_beams, numbers))
        self.symbols.append(only)
        self.gate.wait(timeout=10)
        if 99 in numbers:
            raise RuntimeError("out of memory")
        return [Recognition(latex=str(number), confidence=1, elapsed_s=0) for number in numbers]

    def batch_done(self, name: str, size: int, elapsed_s: float) -> None:
        assert (name, size, elapsed_s > 0) == ("1", len(self.batches[-1][1]), True)


def picture(number: int) -> Picture:
    """A picture that the recogniser can identify."""
    return np.full((1, 1), number, dtype=np.uint8)


def with_batcher(
    slow: SlowRecognizer, scene: Callable[[Batcher], Awaitable[None]], *, max_batch: int = 4, max_wait_s: float = 0
) -> None:
    """Run a scene with a running batcher."""

    async def play() -> None:
        with ThreadPoolExecutor(1) as thread:

            async def read(pictures: Sequence[Picture], options: SearchOptions) -> list[Recognition]:
                work = partial(slow.read, pictures, **options._asdict())
                return await asyncio.get_running_loop().run_in_executor(thread, work)

            batcher = Batcher(max_batch=max_batch, max_wait_s=max_wait_s, on_batch=slow.batch_done)
            life = asyncio.create_task(batcher.run(read, name="1"))
            try:
                await scene(batcher)
            finally:
                slow.gate.set()
                life.cancel()
                await asyncio.wait({life})

    asyncio.run(play())


async def started(slow: SlowRecognizer, count: int) -> None:
    """Wait until `count` batches have started."""
    async with asyncio.timeout(10):
        while len(slow.batches) < count:  # noqa: ASYNC110  # they start in a thread
            await asyncio.sleep(0.001)


def test_waiting_pictures_are_read_together_and_answered_separately() -> None:
    """Five arrive while one is read: the next batches have four and one, and no client gets another's answer."""
    slow = SlowRecognizer()

    async def scene(batcher: Batcher) -> None:
        slow.gate.clear()
        first = asyncio.create_task(batcher.read(picture(1), SearchOptions()))
        await started(slow, 1)
        others = [asyncio.create_task(batcher.read(picture(number), SearchOptions())) for number in range(2, 7)]
        await asyncio.sleep(0)
        assert batcher.num_waiting == 5
        slow.gate.set()
        answers = await asyncio.gather(first, *others)
        assert [answer.latex for answer in answers] == ["1", "2", "3", "4", "5", "6"]
        assert batcher.num_waiting == 0

    with_batcher(slow, scene)
    assert slow.batches == [(1, [1]), (1, [2, 3, 4, 5]), (1, [6])]


def test_searches_of_different_width_or_symbols_are_not_mixed() -> None:
    """A batch has one search; pictures that need another one wait for a later batch, but not forever."""
    slow = SlowRecognizer()

    async def scene(batcher: Batcher) -> None:
        slow.gate.clear()
        first = asyncio.create_task(batcher.read(picture(0), SearchOptions()))
        await started(slow, 1)
        others = [
            asyncio.create_task(batcher.read(picture(n), SearchOptions(num_beams=1 + n % 2))) for n in range(1, 5)
        ]
        digits = asyncio.create_task(batcher.read(picture(5), SearchOptions(only="digits")))
        await asyncio.sleep(0)
        slow.gate.set()
        answers = await asyncio.gather(first, *others, digits)
        assert [answer.latex for answer in answers] == ["0", "1", "2", "3", "4", "5"]

    with_batcher(slow, scene)
    assert slow.batches == [(1, [0]), (2, [1, 3]), (1, [2, 4]), (1, [5])]
    assert slow.symbols == [None, None, None, "digits"]


def test_a_cancelled_picture_is_not_read() -> None:
    """A closed browser tab must not slow the others down."""
    slow = SlowRecognizer()

    async def scene(batcher: Batcher) -> None:
        slow.gate.clear()
        first = asyncio.create_task(batcher.read(picture(1), SearchOptions()))
        await started(slow, 1)
        leaving = asyncio.create_task(batcher.read(picture(2), SearchOptions()))
        staying = asyncio.create_task(batcher.read(picture(3), SearchOptions()))
        await asyncio.sleep(0)
        leaving.cancel()
        first.cancel()  # while it is being read
        await asyncio.wait({leaving, first})
        assert batcher.num_waiting == 1
        slow.gate.set()
        assert (await staying).latex == "3"

    with_batcher(slow, scene)
    assert slow.batches == [(1, [1]), (1, [3])]


def test_a_failure_reaches_only_the_clients_of_its_batch() -> None:
    """A batch that crashes the model must not end the service."""
    slow = SlowRecognizer()

    async def scene(batcher: Batcher) -> None:
        with pytest.raises(RuntimeError, match="out of memory"):
            await batcher.read(picture(99), SearchOptions())
        assert (await batcher.read(picture(1), SearchOptions())).latex == "1"

    with_batcher(slow, scene)


def test_a_batch_waits_for_more_only_after_a_batch_of_several() -> None:
    """A single client never waits; after a batch of two, the first waits a moment for the second."""
    slow = SlowRecognizer()

    async def scene(batcher: Batcher) -> None:
        for number in range(3):
            started_s = time.perf_counter()
            await batcher.read(picture(number), SearchOptions())
            assert time.perf_counter() - started_s < 0.4
        slow.gate.clear()
        first = asyncio.create_task(batcher.read(picture(3), SearchOptions()))
        await started(slow, 4)
        pair = [asyncio.create_task(batcher.read(picture(number), SearchOptions())) for number in (4, 5)]
        await asyncio.sleep(0)
        slow.gate.set()
        await asyncio.gather(first, *pair)
        early = asyncio.create_task(batcher.read(picture(6), SearchOptions()))
        await asyncio.sleep(0.05)
        assert len(slow.batches) == 5  # the picture waits
        late = asyncio.create_task(batcher.read(picture(7), SearchOptions()))
        await asyncio.gather(early, late)
        assert slow.batches[-1] == (1, [6, 7])
        await batcher.read(picture(8), SearchOptions())  # the wait ends by itself

    with_batcher(slow, scene, max_wait_s=0.5)


class Model:
    """A model that reads only once its gate is open, and may end."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.has_ended = False

    async def read(self, pictures: Sequence[Picture], _: SearchOptions) -> list[Recognition]:
        numbers = [int(picture[0, 0]) for picture in pictures]
        self.batches.append(numbers)
        await self.gate.wait()
        if self.has_ended:
            raise ModelEndedError
        return [Recognition(latex=f"{self.name}{number}", confidence=1, elapsed_s=0) for number in numbers]


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_idle_models_share_what_waits() -> None:
    """With two models, one must not take all four pictures while the other has nothing to do."""
    sizes: list[tuple[str, int]] = []

    async def play() -> None:
        batcher = Batcher(max_batch=4, max_wait_s=0, on_batch=lambda name, size, _: sizes.append((name, size)))
        models = [Model("a"), Model("b")]
        lives = [asyncio.create_task(batcher.run(model.read, name=model.name)) for model in models]
        await turns()
        reads = [asyncio.create_task(batcher.read(picture(number), SearchOptions())) for number in range(4)]
        await turns()
        assert sorted(number for model in models for [*numbers] in model.batches for number in numbers) == [0, 1, 2, 3]
        assert [list(map(len, model.batches)) for model in models] == [[2], [2]]
        more = [asyncio.create_task(batcher.read(picture(number), SearchOptions())) for number in range(4, 7)]
        await turns()
        assert batcher.num_waiting == 3  # both are busy
        models[1].gate.set()
        assert [answer.latex for answer in await asyncio.gather(*more)] == ["b4", "b5", "b6"]
        models[0].gate.set()
        answers = [answer.latex for answer in await asyncio.gather(*reads)]
        assert sorted(answer[0] for answer in answers) == ["a", "a", "b", "b"]
        assert [answer[1:] for answer in answers] == ["0", "1", "2", "3"]
        for life in lives:
            life.cancel()

    asyncio.run(play())
    assert sorted(sizes) == [("a", 2), ("b", 2), ("b", 3)]


def test_a_model_that_ends_stops_reading() -> None:
    """Its batch gets the error; what waits is read by another model."""

    async def play() -> None:
        batcher = Batcher(max_batch=1, max_wait_s=0, on_batch=lambda *_: None)
        ends, stays = Model("e"), Model("s")
        life = asyncio.create_task(batcher.run(ends.read, name="e"))
        await turns()
        reads = [asyncio.create_task(batcher.read(picture(number), SearchOptions())) for number in range(3)]
        await turns()
        ends.has_ended = True
        ends.gate.set()
        with pytest.raises(ModelEndedError):
            await life
        with pytest.raises(HttpError) as failed:
            await reads[0]
        assert (failed.value.status, failed.value.headers) == (503, {"Retry-After": "1"})
        stays.gate.set()
        other = asyncio.create_task(batcher.run(stays.read, name="s"))
        assert [answer.latex for answer in await asyncio.gather(*reads[1:])] == ["s1", "s2"]
        other.cancel()

    asyncio.run(play())


def test_slots_are_released() -> None:
    """Otherwise a service that refused once would refuse forever."""
    slots = ItemSlots(3)
    with slots.take(2):
        with pytest.raises(HttpError) as full, slots.take(2):
            pass
        assert (full.value.status, full.value.headers) == (503, {"Retry-After": "1"})
        with slots.take(1):
            assert slots.num_taken == 3
    with pytest.raises(KeyError), slots.take(3):
        raise KeyError
    assert slots.num_taken == 0
    with pytest.raises(HttpError) as never, slots.take(4):
        pass
    assert never.value.status == 413
