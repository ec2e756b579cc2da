"""The memory of the service is bounded, whatever is decoded at a time."""

import asyncio
import platform
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.serving.memory import attack
from benchmarks.serving.processes import started
from latexify.serve.http.memory import DecodingBudget, return_freed_memory

DOCUMENTED_BYTES = 700e6  # docs/guide/serving.md


class Work:
    """Work that waits at a gate, and counts how much of it runs."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.running = self.most = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.gate.wait(timeout=10)
        with self._lock:
            self.running -= 1


async def _run(costs: list[int], *, budget: int) -> int:
    work = Work()
    with ThreadPoolExecutor(8) as threads:
        decoding = DecodingBudget(budget, threads)
        tasks = [asyncio.ensure_future(decoding.run(work, cost_bytes=cost)) for cost in costs]
        await asyncio.sleep(0.05)
        work.gate.set()
        await asyncio.gather(*tasks)
    return work.most


@pytest.mark.parametrize(("costs", "most"), [([60, 60, 60], 1), ([50, 50, 50], 2), ([0] * 5, 5), ([100, 100], 1)])
def test_no_more_runs_at_a_time_than_the_budget_allows(costs: list[int], most: int) -> None:
    """Two images of 49 million pixels took 1.6 GB; what costs nothing does not wait for each other."""
    assert asyncio.run(_run(costs, budget=100)) == most


async def _cancel() -> tuple[bool, bool, int]:
    work = Work()
    with ThreadPoolExecutor(8) as threads:
        decoding = DecodingBudget(100, threads)
        first, waiting, last = (asyncio.ensure_future(decoding.run(work, cost_bytes=cost)) for cost in (80, 90, 70))
        await asyncio.sleep(0.05)
        first.cancel()
        waiting.cancel()
        await asyncio.sleep(0.05)
        has_waited = work.running == 1  # the thread of the first has not ended
        work.gate.set()
        await last
        await asyncio.sleep(0.05)
    return has_waited, last.done(), decoding._num_taken


def test_a_client_that_leaves_does_not_free_memory_that_is_still_in_use() -> None:
    """A thread cannot be stopped; who cancels while waiting leaves the queue, and all is given back in the end."""
    assert asyncio.run(_cancel()) == (True, True, 0)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_malloc_is_told_to_return_memory() -> None:
    """Without it the process keeps several hundred MB after a few large images."""
    assert return_freed_memory()


@pytest.mark.slow
@pytest.mark.skipif(platform.system() != "Linux", reason="needs Linux: the peak of a process's memory")
@pytest.mark.parametrize("name", ["12 PNG, RGBA, 49 million pixels", "4 WebP, RGB, 24 million"])
def test_no_attack_takes_more_than_the_docs_say(name: str) -> None:
    """A container is given as much; these two took most of what was tried. On a busy machine, answers may be late."""
    with started(["latexify", "serve", "--device", "cpu"]) as server:
        statuses = attack(server, name)
        assert server.peak_mib * 2**20 < DOCUMENTED_BYTES
    assert set(statuses) <= {"200", "504"}
