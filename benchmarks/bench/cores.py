"""Processes that run on a chosen number of CPUs, whatever number of threads a library starts."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from joblib.externals.loky import get_reusable_executor


def num_cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, kw_only=True)
class Pools:
    """Processes to measure in. one: kept to one core. ours, theirs: on all `cores`.

    This project and the baselines do not share the latter: joblib would end the workers of one to start the other's.
    """

    one: Executor
    ours: Executor
    theirs: Executor
    cores: int


@contextmanager
def open_pools() -> Iterator[Pools]:
    """Open one of each, for all CPUs that there are."""
    cores = num_cpus()
    with open_cores(1) as one, open_cores(cores) as ours, open_cores(cores) as theirs:
        yield Pools(one=one, ours=ours, theirs=theirs, cores=cores)


@contextmanager
def open_cores(num_cores: int) -> Iterator[ProcessPoolExecutor]:
    """Yield one process that, with all its threads and children, runs on the first `num_cores` CPUs.

    "Per core" is then what it says: Arrow, OpenMP and BLAS would otherwise borrow the others unasked. Started anew
    rather than forked, before any library has counted the CPUs.
    """
    with ProcessPoolExecutor(
        max_workers=1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_stay_on,
        initargs=(sorted(os.sched_getaffinity(0))[:num_cores], multiprocessing.get_start_method()),
    ) as pool:
        yield pool
        pool.submit(_end_workers).result()


def _stay_on(cpus: list[int], start_method: str) -> None:
    os.sched_setaffinity(0, cpus)
    # its own children start as those of `latexify` do, not as it did: a loader's would import torch for seconds
    multiprocessing.set_start_method(start_method, force=True)


def _end_workers() -> None:
    """End joblib's idle workers: they would stay for five minutes, and their parent would wait for them."""
    get_reusable_executor().shutdown(wait=True, kill_workers=True)
