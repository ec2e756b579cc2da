"""Run batches in parallel on a CPU: one thread for each that torch would use, each computing by itself.

The layers of small models are too short to be shared by several threads, which would wait for each other after each.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

B = TypeVar("B")
R = TypeVar("R")


def run_in_threads(work: Callable[[B], R], batches: Iterable[B], *, num_threads: int) -> Iterator[R]:
    """Yield the result of `work`, which computes by torch, for every batch, in their order.

    `batches` are taken one by one in the thread that iterates, a few ahead. With one thread, `work` runs there, too. If
    `work` or `batches` raise an exception, batches that have not started are dropped.
    """
    if num_threads == 1:
        yield from map(work, batches)
        return
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(num_threads, "read", initializer=torch.set_num_threads, initargs=(1,))
    try:
        started: deque[Future[R]] = deque()
        for batch in batches:
            started.append(pool.submit(work, batch))
            if len(started) > num_threads:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # for threads that start later
