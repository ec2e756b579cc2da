"""Bound the memory of the service: how much all decoding together may take, and what freed memory is for."""

import asyncio
import ctypes
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's malloc.h
MMAP_THRESHOLD_BYTES = 12 * 2**20
"""Pillow's images are blocks of 16 MiB. A lower threshold costs time, as fresh pages have to be cleared."""
MAX_ARENAS = 2


def return_freed_memory() -> bool:
    """Let malloc return large blocks to the system when they are freed; False where the C library is not glibc.

    By default glibc keeps them after the first, and each thread keeps its own: after a few large images the process
    would hold several hundred MB for good.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    is_set = [library.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES), library.mallopt(M_ARENA_MAX, MAX_ARENAS)]
    return all(is_set)


class DecodingBudget:
    """Runs work in threads such that all that runs at a time costs at most `num_bytes`; the first come first.

    Belongs to one event loop.
    """

    def __init__(self, num_bytes: int, threads: ThreadPoolExecutor) -> None:
        self._num_bytes = num_bytes
        self._threads = threads
        self._num_taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def run(self, work: Callable[[], T], *, cost_bytes: int) -> T:
        """Run work that takes `cost_bytes` of memory, at most the whole budget, once there is room for it.

        Whoever cancels this does not stop a thread: its cost counts until it has ended.
        """
        await self._acquire(cost_bytes)
        loop = asyncio.get_running_loop()
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._release, cost_bytes))
        return await asyncio.wrap_future(future)

    async def _acquire(self, cost_bytes: int) -> None:
        if not self._waiting and self._num_taken + cost_bytes <= self._num_bytes:
            self._num_taken += cost_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((cost_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release(cost_bytes)  # it was this one's turn at the same moment
            else:
                self._waiting = deque(entry for entry in self._waiting if entry[1] is not turn)
                self._release(0)  # the next one may be smaller
            raise

    def _release(self, cost_bytes: int) -> None:
        self._num_taken -= cost_bytes
        while self._waiting and self._num_taken + self._waiting[0][0] <= self._num_bytes:
            cost, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._num_taken += cost
                turn.set_result(None)
