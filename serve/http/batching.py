"""Pictures of many requests read together: while the model is busy, what comes in waits, and is its next batch."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from latexify.serve.http.http_errors import busy, too_large
from latexify.serve.recognizer import Picture, Recognition


class Reads(Protocol):
    """What the batcher asks of a recogniser."""

    def read(self, pictures: Sequence[Picture], *, num_beams: int) -> list[Recognition]:
        """A recognition of each, in their order."""


class Watcher(Protocol):
    """Whoever counts batches."""

    def batch_done(self, *, size: int, elapsed_s: float) -> None:
        """A batch was read, or failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    picture: Picture
    num_beams: int


class Places:
    """How many items the service has taken on: a bound on memory, and on how long anybody waits."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0

    @contextmanager
    def take(self, wanted: int, *, beside: int = 0) -> Iterator[None]:
        """Hold so many places, beside those that the same request holds already.

        Raises HttpError: 503 where they are taken, 413 where there never are so many.
        """
        if wanted + beside > self.count:
            raise too_large(f"{wanted + beside} items, and the queue has {self.count} places: send several requests")
        if self.taken + wanted > self.count:
            raise busy(f"all {self.count} places are taken: try again in a second")
        self.taken += wanted
        try:
            yield
        finally:
            self.taken -= wanted


class Batcher:
    """A queue in front of one thread that runs the model. For one event loop; `run` is its life."""

    def __init__(
        self,
        recognizer: Reads,
        *,
        thread: ThreadPoolExecutor,
        max_batch: int,
        max_wait_s: float,
        watcher: Watcher,
    ) -> None:
        """Read in `thread` (of one worker), at most `max_batch` pictures at a time.

        max_wait_s: after a batch of several, how long to wait for as many as it had, since those who were just
        answered often ask again. Nobody waits where nobody was before.
        """
        self._recognizer = recognizer
        self._thread = thread
        self._max_batch = max_batch
        self._max_wait_s = max_wait_s
        self._watcher = watcher
        self._waiting: dict[asyncio.Future[Recognition], _Waiting] = {}
        self._arrived = asyncio.Event()
        self._last_size, self._last_end_s = 0, 0.0

    @property
    def num_waiting(self) -> int:
        """Pictures that no batch has taken yet."""
        return len(self._waiting)

    async def read(self, picture: Picture, *, num_beams: int) -> Recognition:
        """Wait for a picture's turn and read it. Cancelled, it gives its place in the queue back at once."""
        future: asyncio.Future[Recognition] = asyncio.get_running_loop().create_future()
        self._waiting[future] = _Waiting(picture=picture, num_beams=num_beams)
        self._arrived.set()
        try:
            return await future
        finally:
            self._waiting.pop(future, None)

    async def run(self) -> None:
        """Read batches until cancelled. What the model raises goes to those who wait for that batch."""
        loop = asyncio.get_running_loop()
        while True:
            await self._gather_some()
            batch = self._take()
            if not batch:
                continue
            started_s = loop.time()
            pictures = [waiting.picture for waiting in batch.values()]
            num_beams = next(iter(batch.values())).num_beams
            work = loop.run_in_executor(self._thread, partial(self._recognizer.read, pictures, num_beams=num_beams))
            await asyncio.wait({work})
            _settle(list(batch), work)
            self._last_size, self._last_end_s = len(batch), loop.time()
            self._watcher.batch_done(size=len(batch), elapsed_s=self._last_end_s - started_s)

    async def _gather_some(self) -> None:
        """Wait until there is something to read, and a moment for company if there was some just now."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        wanted = min(self._last_size, self._max_batch)
        remaining_s = self._last_end_s + self._max_wait_s - asyncio.get_running_loop().time()
        if len(self._waiting) >= wanted or remaining_s <= 0:
            return
        try:
            async with asyncio.timeout(remaining_s):
                while len(self._waiting) < wanted:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return

    def _take(self) -> dict[asyncio.Future[Recognition], _Waiting]:
        """The first that wait and are searched for alike."""
        if not self._waiting:
            return {}
        num_beams = next(iter(self._waiting.values())).num_beams
        alike = [future for future, waiting in self._waiting.items() if waiting.num_beams == num_beams]
        return {future: self._waiting.pop(future) for future in alike[: self._max_batch]}


def _settle(futures: Sequence[asyncio.Future[Recognition]], work: "asyncio.Future[list[Recognition]]") -> None:
    error = work.exception()
    for place, future in enumerate(futures):
        if future.done():  # its client has gone
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(work.result()[place])
