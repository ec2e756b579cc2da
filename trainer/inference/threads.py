"""Batches read side by side on a CPU: a thread for each that torch would take, each computing by itself.

The layers of small models are too short for several threads to share: they would wait for each other after each.
Batches have nothing to wait for.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

B = TypeVar("B")
R = TypeVar("R")


def run_in_threads(work: Callable[[B], R], batches: Iterable[B], *, num_threads: int) -> Iterator[R]:
    """Yield the result of `work` for every batch, in their order; with one thread, one at a time in this one.

    work: by torch; it runs in all threads. batches: taken one by one in the thread that iterates, a few ahead.
    Raises what `work` and `batches` raise; batches that were not begun then are dropped.
    """
    if num_threads == 1:
        yield from map(work, batches)
        return
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(num_threads, "read", initializer=torch.set_num_threads, initargs=(1,))
    try:
        begun: deque[Future[R]] = deque()
        for batch in batches:
            begun.append(pool.submit(work, batch))
            if len(begun) > num_threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # what threads that start later take
