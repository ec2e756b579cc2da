"""Fetch remote shards before they are read, so that reading does not wait at the start of each shard."""

import queue
import threading
from collections.abc import Callable

from latexify.common.errors import LatexifyError

MAX_WAITING = 64  # largest number of requested shards that wait; further ones are fetched when they are read
_THREADS = 2


class Prefetcher:
    """Calls `fetch` with shard ids in background threads, which the first request starts.

    Errors are ignored here: reading the shard fetches it again, and reports the error.
    """

    def __init__(self, fetch: Callable[[int], None]) -> None:
        self._fetch = fetch
        self._waiting: queue.Queue[int | None] = queue.Queue(MAX_WAITING)
        self._threads: list[threading.Thread] = []
        self._asked: set[int] = set()

    def request(self, shard_id: int) -> None:
        """Fetch a shard soon, unless it is requested already or too many are waiting."""
        if shard_id in self._asked:
            return
        if not self._threads:
            # daemons, so that the process does not wait at its end for shards that nobody will read
            self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_THREADS)]
            for thread in self._threads:
                thread.start()
        self._asked.add(shard_id)
        try:
            self._waiting.put_nowait(shard_id)
        except queue.Full:
            self._asked.discard(shard_id)

    def close(self) -> None:
        """Stop fetching, without waiting for running fetches."""
        while self._threads:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                break
        for _ in self._threads:
            self._waiting.put(None)
        self._threads = []

    def _run(self) -> None:
        while (shard_id := self._waiting.get()) is not None:
            try:
                self._fetch(shard_id)
            except LatexifyError:
                continue
            finally:
                self._asked.discard(shard_id)
