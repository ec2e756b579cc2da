"""Clusters that run the tasks of a stage: what Dask and Ray have in common, and the joblib backend for both.

docs/design/adr/0005-cluster-engines.md explains why joblib's own backends for them are not used.
"""

import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar

from joblib.parallel import ParallelBackendBase

from latexify.artifacts.files import write_atomically
from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.pipeline.engine.versions import differences, versions

CONNECT_TIMEOUT_S = 10.0
_NUM_NAMED = 3  # workers named in an error; hundreds may have the same fault


class Cluster(ABC):
    """A connection to workers that were started elsewhere."""

    how_to_start: ClassVar[str]  # commands that start such a cluster, for error messages

    @abstractmethod
    def __init__(self, address: str) -> None:
        """Connect; raise LatexifyError if nothing answers at the address, or there are no workers."""

    @abstractmethod
    def num_slots(self) -> int:
        """Return how many tasks run at a time."""

    @abstractmethod
    def start(self, task: Callable[[], Any]) -> "Future[Any]":
        """Send a task to a free worker; if that worker dies, it is sent to another."""

    @abstractmethod
    def run_on_every_worker(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """Return the result of every worker by its name; an exception takes the place of a result if there is none."""

    @abstractmethod
    def unwrap_result(self, future: "Future[Any]") -> Any:
        """Return the result of a finished task; raise its own error, or LatexifyError if the cluster failed."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect and give up running tasks."""

    def require_same_versions(self) -> None:
        """Raise LatexifyError if a worker lacks, or has other, code or libraries than this process."""
        here = versions()
        faults = {}
        for name, result in self.run_on_every_worker(versions).items():
            if isinstance(result, BaseException):
                faults[name] = f"it cannot run latexify ({_last_line(result)})"
            elif unlike := differences(here, result):
                faults[name] = ", ".join(unlike)
        if faults:
            raise LatexifyError(
                f"{_listed(faults)}: results depend on these; install the same latexify and libraries "
                "(requirements.lock) for every worker and restart it"
            )

    def check_shared_path(self, location: Location) -> None:
        """Raise LatexifyError if a worker cannot read what this process writes beside `location`."""
        probe = location.parent / f".latexify-{secrets.token_hex(8)}"
        content = secrets.token_bytes(16)
        write_atomically(probe, content)
        try:
            results = self.run_on_every_worker(_read, probe)
        finally:
            probe.unlink()
        faults = {name: _last_line(result) for name, result in results.items() if result != content}
        if faults:
            raise LatexifyError(
                f"{_listed(faults)}: workers must read and write {location.parent}; choose a folder that all machines "
                "share, or an object store with its settings in every worker's environment"
            )


def _read(location: Location) -> bytes:
    return location.read_bytes()


def _listed(faults: Mapping[str, str]) -> str:
    named = "; ".join(f"worker {name}: {fault}" for name, fault in list(faults.items())[:_NUM_NAMED])
    return named + (f"; and {len(faults) - _NUM_NAMED} more workers" if len(faults) > _NUM_NAMED else "")


def _last_line(result: object) -> str:
    """Return the last line of an error; Ray puts a traceback before it."""
    text = str(result).strip() if isinstance(result, BaseException) else repr(result)
    return (text.splitlines() or [type(result).__name__])[-1]


def _run_checked(batch: Callable[[], Any], here: Mapping[str, str]) -> Any:
    """Run a batch of calls; check versions again, because the worker may have joined after the first check."""
    if unlike := differences(here, versions()):
        raise LatexifyError(
            f"worker on {socket.gethostname()}: {', '.join(unlike)}: it joined with other code or libraries; stop "
            "it, and run the same command again"
        )
    return batch()


class FuturesBackend(ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """A joblib backend for clusters that return futures: results are streamed, and every failure is reported."""

    supports_retrieve_callback = True

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(nesting_level=0)
        self._cluster = cluster

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return at least two, because joblib runs a single job in this process."""
        return max(2, n_jobs)

    def submit(self, func: Callable[[], Any], callback: Callable[..., Any]) -> "Future[Any]":
        """Start a batch of calls; `callback` is called with the finished future."""
        future = self._cluster.start(partial(_run_checked, func, versions()))
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: "Future[Any]") -> Any:
        """Return the results of a batch, or raise its error."""
        return self._cluster.unwrap_result(out)
