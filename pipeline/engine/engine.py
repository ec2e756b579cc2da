"""Where the tasks of a stage run: on this machine or on a cluster. It never changes a byte of what they make."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from joblib import Parallel
from joblib.externals.loky.process_executor import TerminatedWorkerError

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.common.extras import missing_extra
from latexify.fast.pandas_import import block_pandas_import
from latexify.pipeline.engine.cluster import Cluster, FuturesBackend

Backend = Literal["loky", "threading", "sequential", "dask", "ray"]

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""What `joblib.delayed` makes."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Runs calls through joblib.

    jobs: how many at a time; 0, on a cluster only: as many as it has room for.
    cluster: the one connected to; None with the backends of this machine. See `open_engine`.
    """

    backend: Backend = "loky"
    jobs: int = 1
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        assert (self.cluster is not None) == (self.backend in {"dask", "ray"}), "open_engine() connects to a cluster"

    @property
    def is_here(self) -> bool:
        """Whether workers are on this machine, so that they open the same local paths as this process."""
        return self.cluster is None

    def run(self, calls: Iterable[Call], *, in_order: bool) -> Iterator[Any]:
        """Yield the results as they come, or in the order of the calls; only a few calls and results are in memory.

        calls: taken one by one, a few ahead of the workers, perhaps from another thread.

        Raises what a call raises, and LatexifyError where a worker dies or the cluster is lost; what other workers
        wrote by then is whole, and the stage's draft keeps it.
        """
        parallel = Parallel(
            return_as="generator" if in_order else "generator_unordered",
            batch_size=1,
            max_nbytes=None,  # arrays travel with their task: a file of them would outlive a killed run
            **self._options(),
        )
        try:
            yield from parallel(calls)
        except TerminatedWorkerError:
            raise LatexifyError(
                "a worker process died, most likely killed for want of memory: run the same command again, it goes on; "
                "with fewer --jobs if it happens again"
            ) from None

    def _options(self) -> dict[str, Any]:
        if self.cluster is None:
            options = {"n_jobs": self.jobs, "backend": self.backend, "pre_dispatch": "2 * n_jobs"}
            return options | ({"initializer": block_pandas_import} if self.backend == "loky" else {})
        num_slots = self.cluster.num_slots()
        # the next call waits beside a worker while it is busy, unless the user wants no more than `jobs`
        in_flight = self.jobs or 2 * num_slots
        return {
            "n_jobs": min(num_slots, in_flight),
            "backend": FuturesBackend(self.cluster),
            "pre_dispatch": in_flight,
        }

    def check_shared_path(self, place: Location) -> None:
        """Raise LatexifyError where a worker cannot read what this process writes beside `place`."""
        if self.cluster is not None:
            self.cluster.check_shared_path(place)


@contextmanager
def open_engine(backend: Backend, *, jobs: int, address: str | None = None) -> Iterator[Engine]:
    """Yield the engine; a cluster stays connected until the block ends.

    jobs: how many calls at a time; 0: one for each CPU of this machine, or as many as the cluster has room for.
    address: of the cluster (`dask`: ``tcp://host:8786``; `ray`: ``host:6379`` or ``ray://host:10001``).

    Raises LatexifyError where the address is missing, unneeded or answers nothing within ten seconds, the engine's
    package is not installed, or workers have other code or libraries than this process.
    """
    if backend not in {"dask", "ray"}:
        if address is not None:
            raise LatexifyError(f"--backend {backend} runs on this machine: leave --address {address} out")
        yield Engine(backend=backend, jobs=jobs or usable_cpus())
        return
    with _connect(backend, address) as cluster:
        cluster.require_same_versions()
        yield Engine(backend=backend, jobs=jobs, cluster=cluster)


def _connect(backend: Backend, address: str | None) -> Cluster:
    try:
        chosen = _cluster_of(backend)
    except ModuleNotFoundError as error:
        raise missing_extra("cluster", package=error.name, needed_by=f"--backend {backend}") from None
    if address is None:
        raise LatexifyError(f"--backend {backend} needs --address: start {chosen.how_to_start}, and name it")
    return chosen(address)


def _cluster_of(backend: Backend) -> type[Cluster]:
    """Import what the backend needs, and only that: each takes a second, and is an extra."""
    if backend == "dask":
        from latexify.pipeline.engine.dask_cluster import DaskCluster  # noqa: PLC0415

        return DaskCluster
    from latexify.pipeline.engine.ray_cluster import RayCluster  # noqa: PLC0415

    return RayCluster


def usable_cpus() -> int:
    """Number of CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
