"""Batch the pictures of many requests: those that arrive while the model is busy form its next batch."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from math import ceil
from typing import NamedTuple

from latexify.serve.http.http_errors import HttpError, busy, too_large
from latexify.serve.recognizer import Picture, Recognition


class SearchOptions(NamedTuple):
    """How to search; pictures of one batch have the same."""

    num_beams: int = 1
    num_drawings: int = 1
    only: str | None = None  # see `Recognizer.read`


ReadBatch = Callable[[Sequence[Picture], SearchOptions], Awaitable[list[Recognition]]]
"""Recognises pictures, in their order."""


class ModelEndedError(HttpError):
    """The model that reads a batch is there no more."""

    def __init__(self) -> None:
        super().__init__(HTTPStatus.SERVICE_UNAVAILABLE, "the model ended while it read this: try again in a second")


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
    """A queue in front of models, of which each is told to read by a `run`. Belongs to one event loop."""

    def __init__(self, *, max_batch: int, max_wait_s: float, on_batch: Callable[[str, int, float], None]) -> None:
        """Set up an empty queue.

        Args:
            max_batch: Most pictures in a batch.
            max_wait_s: After a batch of several, how long to wait for as many again, since clients that were just
                answered often ask again. A single client never waits.
            on_batch: Is told the model's name, the size and the seconds of every batch that succeeded or failed.
        """
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._on_batch = on_batch
        self._queue: dict[asyncio.Future[Recognition], tuple[Picture, SearchOptions]] = {}
        self._arrived = asyncio.Event()
        self._num_idle = 0  # models

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

    async def run(self, read: ReadBatch, *, name: str) -> None:
        """Let a model read batches until cancelled.

        Its errors go to the callers that wait for that batch, and so does a ModelEndedError when this is cancelled.

        Raises:
            ModelEndedError: If `read` raised it.
        """
        loop = asyncio.get_running_loop()
        last_size, last_end_s = 0, 0.0
        while True:
            self._num_idle += 1
            try:
                await self._wait_for_pictures(last_size, last_end_s)
                batch, options = self._take_batch()
            finally:
                self._num_idle -= 1
            if not batch:
                continue
            started_s = loop.time()
            work = asyncio.ensure_future(read(list(batch.values()), options))
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError:
                work.cancel()
                _set_error(list(batch), ModelEndedError())
                raise
            _set_results(list(batch), work)
            last_size, last_end_s = len(batch), loop.time()
            self._on_batch(name, len(batch), last_end_s - started_s)
            if isinstance(work.exception(), ModelEndedError):
                await work

    async def _wait_for_pictures(self, last_size: int, last_end_s: float) -> None:
        """Wait for a picture and, after a batch of several, a moment for as many as it had."""
        while not self._queue:
            self._arrived.clear()
            await self._arrived.wait()
        target_size = min(last_size, self._max_batch)
        remaining_s = last_end_s + self._max_wait_s - asyncio.get_running_loop().time()
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
        """Take the first pictures that have the same options, if there are any; return them and the options.

        Several idle models share what waits.
        """
        _, options = next(iter(self._queue.values()), (None, SearchOptions()))
        alike = [future for future, (_, others) in self._queue.items() if others == options]
        size = min(ceil(len(alike) / self._num_idle), self._max_batch)
        return {future: self._queue.pop(future)[0] for future in alike[:size]}, options


def _set_results(futures: Sequence[asyncio.Future[Recognition]], work: "asyncio.Future[list[Recognition]]") -> None:
    error = work.exception()
    if error is not None:
        _set_error(futures, error)
        return
    for future, recognition in zip(futures, work.result(), strict=True):
        if not future.done():  # else the client disconnected
            future.set_result(recognition)


def _set_error(futures: Sequence[asyncio.Future[Recognition]], error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
