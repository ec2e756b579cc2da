"""Fetching remote shards before they are read, so that a stream does not wait at the border of one."""

import queue
import threading
from collections.abc import Callable

from latexify.common.errors import LatexifyError

MAX_WAITING = 64
"""Shards asked for and not fetched yet; what is asked for beyond them is fetched when it is read."""

_THREADS = 2


class Prefetcher:
    """Calls `fetch` with shard ids in the background, one after another, each once. Started by the first request.

    An error is left to whoever reads the shard: the fetch is tried again there, and its error names it.
    """

    def __init__(self, fetch: Callable[[int], None]) -> None:
        self._fetch = fetch
        self._waiting: queue.Queue[int | None] = queue.Queue(MAX_WAITING)
        self._threads: list[threading.Thread] = []
        self._asked: set[int] = set()

    def request(self, shard_id: int) -> None:
        """Fetch a shard soon, unless too many wait already, or it is on its way."""
        if shard_id in self._asked:
            return
        if not self._threads:
            # daemons: who ends does not wait for what nobody will read
            self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_THREADS)]
            for thread in self._threads:
                thread.start()
        self._asked.add(shard_id)
        try:
            self._waiting.put_nowait(shard_id)
        except queue.Full:
            self._asked.discard(shard_id)

    def close(self) -> None:
        """Fetch nothing more; what is under way is not waited for."""
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
