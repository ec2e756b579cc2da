"""Run the tasks of a stage on this machine or on a cluster; where they run never changes a byte of the results."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
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

# function, arguments and keyword arguments, as `joblib.delayed` makes them
Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Runs calls through joblib; made by :func:`open_engine`."""

    backend: Backend = "loky"
    jobs: int = 1  # how many calls run at a time; 0, for clusters only: as many as it has room for
    cluster: Cluster | None = None  # for `dask` and `ray`

    def __post_init__(self) -> None:
        assert (self.cluster is not None) == (self.backend in {"dask", "ray"}), "open_engine() connects to a cluster"

    @property
    def is_here(self) -> bool:
        """Whether workers are on this machine and so can open the same local paths as this process."""
        return self.cluster is None

    def run(self, calls: Iterable[Call], *, in_order: bool) -> Iterator[Any]:
        """Yield the results as they come, or in the order of the calls; only a few calls and results are in memory.

        The calls are taken one by one, a few ahead of the workers, perhaps from another thread. Raises whatever a call
        raises, and LatexifyError if a worker dies or the cluster is lost; the stage's draft keeps finished files.
        """
        parallel = Parallel(
            return_as="generator" if in_order else "generator_unordered",
            batch_size=1,
            max_nbytes=None,  # send arrays with their task: files of joblib would outlive a killed run
            **self._options(),
        )
        try:
            yield from parallel(calls)
        except TerminatedWorkerError:
            raise LatexifyError(
                "a worker process died, most likely out of memory: run the same command again, which continues, with "
                "fewer --jobs if it happens again"
            ) from None

    def _options(self) -> dict[str, Any]:
        if self.cluster is None:
            options = {"n_jobs": self.jobs, "backend": self.backend, "pre_dispatch": "2 * n_jobs"}
            return options | ({"initializer": block_pandas_import} if self.backend == "loky" else {})
        num_slots = self.cluster.num_slots()
        # each busy worker has its next call waiting, unless the user wants no more than `jobs`
        in_flight = self.jobs or 2 * num_slots
        return {"n_jobs": min(num_slots, in_flight), "backend": FuturesBackend(self.cluster), "pre_dispatch": in_flight}

    def check_shared_path(self, location: Location) -> None:
        """Raise LatexifyError if a worker cannot read what this process writes beside `location`."""
        if self.cluster is not None:
            self.cluster.check_shared_path(location)


@contextmanager
def open_engine(backend: Backend, *, jobs: int, address: str | None = None) -> Iterator[Engine]:
    """Yield an engine; a cluster, at an address such as ``tcp://host:8786``, stays connected until the block ends.

    With 0 `jobs`, as many calls run at a time as this machine has CPUs, or the cluster room. Raises LatexifyError if
    the address is missing, not needed, or does not answer within ten seconds, if the backend's package is not
    installed, or if workers have other code or libraries than this process.
    """
    if backend not in {"dask", "ray"}:
        if address is not None:
            raise LatexifyError(f"--backend {backend} runs on this machine: leave out --address {address}")
        yield Engine(backend=backend, jobs=jobs or usable_cpus())
        return
    with closing(_connect(backend, address)) as cluster:
        cluster.require_same_versions()
        yield Engine(backend=backend, jobs=jobs, cluster=cluster)


def _connect(backend: Backend, address: str | None) -> Cluster:
    try:  # imported here because each takes a second and belongs to an extra
        if backend == "dask":
            from latexify.pipeline.engine.dask_cluster import DaskCluster  # noqa: PLC0415

            kind: type[Cluster] = DaskCluster
        else:
            from latexify.pipeline.engine.ray_cluster import RayCluster  # noqa: PLC0415

            kind = RayCluster
    except ModuleNotFoundError as error:
        raise missing_extra("cluster", package=error.name, needed_by=f"--backend {backend}") from None
    if address is None:
        raise LatexifyError(f"--backend {backend} needs --address: start {kind.how_to_start}, and name it")
    return kind(address)


def usable_cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
