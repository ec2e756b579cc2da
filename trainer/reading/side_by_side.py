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


def side_by_side(work: Callable[[B], R], batches: Iterable[B], *, device: torch.device) -> Iterator[R]:
    """Yield the result of `work` for every batch, in their order; one at a time where the device is no CPU.

    work: by torch; it runs in several threads. batches: taken one by one in the thread that iterates, a few ahead.
    Raises what `work` and `batches` raise; batches that were not begun then are dropped.
    """
    num_threads = torch.get_num_threads() if device.type == "cpu" else 1
    if num_threads == 1:
        yield from map(work, batches)
        return
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
        torch.set_num_threads(num_threads)  # what threads that start later take
