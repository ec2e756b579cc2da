"""Batch the pictures of many requests: those that arrive while the model is busy form its next batch."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, Protocol

from latexify.serve.http.http_errors import busy, too_large
from latexify.serve.recognizer import Picture, Recognition


class BatchRecognizer(Protocol):
    """The part of a recogniser that the batcher needs."""

    def read(
        self, pictures: Sequence[Picture], *, num_beams: int, num_drawings: int, only: str | None
    ) -> list[Recognition]:
        """Recognise pictures, in their order."""


class SearchOptions(NamedTuple):
    """How to search; pictures of one batch have the same."""

    num_beams: int = 1
    num_drawings: int = 1
    only: str | None = None  # see `Recognizer.read`


class ItemSlots:
    """Slots for the items in progress. Their number bounds the service's memory and the time that clients wait."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.num_taken = 0

    @contextmanager
    def take(self, num_items: int, *, already_taken: int = 0) -> Iterator[None]:
        """Hold slots until the end of the block; the same request holds `already_taken` others.

        Raises:
            HttpError: 503 if the slots are taken, 413 if there are fewer slots in all than the request needs.
        """
        num_needed = num_items + already_taken
        if num_needed > self.count:
            raise too_large(f"{num_needed} items, but the queue holds {self.count}: send fewer at a time")
        if self.num_taken + num_items > self.count:
            raise busy(f"the queue is full ({self.count} items): try again in a second")
        self.num_taken += num_items
        try:
            yield
        finally:
            self.num_taken -= num_items


class Batcher:
    """A queue in front of one thread that runs the model. Belongs to one event loop, in which `run` must run."""

    def __init__(
        self,
        recognizer: BatchRecognizer,
        *,
        thread: ThreadPoolExecutor,
        max_batch: int,
        max_wait_s: float,
        on_batch: Callable[[int, float], None],
    ) -> None:
        """Set up an empty queue.

        Args:
            recognizer: Recognises the batches.
            thread: Pool of one thread that the recogniser runs in.
            max_batch: Most pictures in a batch.
            max_wait_s: After a batch of several, how long to wait for as many again, since clients that were just
                answered often ask again. A single client never waits.
            on_batch: Is told size and seconds of every batch that succeeded or failed.
        """
        self._recognizer = recognizer
        self._thread = thread
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._on_batch = on_batch
        self._queue: dict[asyncio.Future[Recognition], tuple[Picture, SearchOptions]] = {}
        self._arrived = asyncio.Event()
        self._last_size, self._last_end_s = 0, 0.0

    @property
    def num_waiting(self) -> int:
        """Number of pictures in no batch yet."""
        return len(self._queue)

    async def read(self, picture: Picture, options: SearchOptions) -> Recognition:
        """Queue a picture and wait for its recognition. Cancelling this removes it from the queue at once."""
        future: asyncio.Future[Recognition] = asyncio.get_running_loop().create_future()
        self._queue[future] = (picture, options)
        self._arrived.set()
        try:
            return await future
        finally:
            self._queue.pop(future, None)

    async def run(self) -> None:
        """Recognise batches until cancelled. An error of the model goes to the callers that wait for that batch."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wait_for_pictures()
            batch, options = self._take_batch()
            if not batch:
                continue
            started_s = loop.time()
            pictures = list(batch.values())
            work = loop.run_in_executor(
                self._thread,
                partial(self._recognizer.read, pictures, **options._asdict()),
            )
            await asyncio.wait({work})
            _set_results(list(batch), work)
            self._last_size, self._last_end_s = len(batch), loop.time()
            self._on_batch(len(batch), self._last_end_s - started_s)

    async def _wait_for_pictures(self) -> None:
        """Wait for a picture and, after a batch of several, a moment for as many as it had."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        target_size = min(self._last_size, self._max_batch)
        remaining_s = self._last_end_s + self._max_wait_s - asyncio.get_running_loop().time()
        if len(self._queue) >= target_size or remaining_s <= 0:
            return
        try:
            async with asyncio.timeout(remaining_s):
                while len(self._queue) < target_size:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    def _take_batch(self) -> tuple[dict[asyncio.Future[Recognition], Picture], SearchOptions]:
        """Take the first pictures that have the same options, if there are any; return them and the options."""
        _, options = next(iter(self._queue.values()), (None, SearchOptions()))
        alike = [future for future, (_, others) in self._queue.items() if others == options]
        return {future: self._queue.pop(future)[0] for future in alike[: self._max_batch]}, options


def _set_results(futures: Sequence[asyncio.Future[Recognition]], work: "asyncio.Future[list[Recognition]]") -> None:
    error = work.exception()
    for i, future in enumerate(futures):
        if future.done():  # the client disconnected
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(work.result()[i])
