"""Clusters that run the tasks of a stage: what Dask and Ray have in common, and what joblib needs of them.

joblib's own backends for both were tried first; docs/design/adr/0005-cluster-engines.md says why they are not used.
"""

import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from joblib.parallel import ParallelBackendBase

from latexify.artifacts.files import write_atomically
from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.pipeline.engine.versions import differences, versions

CONNECT_TIMEOUT_S = 10.0
_NUM_NAMED = 3
"""Workers named in an error; there may be hundreds with the same fault."""


class Cluster(ABC):
    """Workers that were started by others, connected to until the end of the context.

    how_to_start: what the constructor's errors recommend.
    """

    how_to_start: ClassVar[str]

    @abstractmethod
    def __init__(self, address: str) -> None:
        """Connect. Raises LatexifyError where nobody answers, or there are no workers."""

    @abstractmethod
    def num_slots(self) -> int:
        """How many tasks run at a time."""

    @abstractmethod
    def start(self, task: Callable[[], Any]) -> "Future[Any]":
        """Send a task to a free worker; it is sent to another one if that worker dies."""

    @abstractmethod
    def run_on_every_worker(self, question: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """Answers of every worker, by its name; an exception stands for the answer where it could not be given."""

    @abstractmethod
    def unwrap_result(self, future: "Future[Any]") -> Any:
        """The result of a task that is done; raises its own error, or LatexifyError where the cluster is to blame."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect; tasks under way are given up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def require_same_versions(self) -> None:
        """Raise LatexifyError where a worker has other code or libraries than this process, or lacks them."""
        here = versions()
        faults = {}
        for name, answer in self.run_on_every_worker(versions).items():
            if isinstance(answer, BaseException):
                faults[name] = f"it cannot run latexify ({_in_a_line(answer)})"
            elif unlike := differences(here, answer):
                faults[name] = ", ".join(unlike)
        if faults:
            raise LatexifyError(
                f"{_listed(faults)}: bytes depend on these; install the same latexify and libraries "
                "(requirements.lock) for every worker and start it again"
            )

    def check_shared_path(self, place: Location) -> None:
        """Raise LatexifyError where a worker cannot read what this process writes beside `place`."""
        probe = place.parent / f".latexify-{secrets.token_hex(8)}"
        content = secrets.token_bytes(16)
        write_atomically(probe, content)
        try:
            answers = self.run_on_every_worker(_read, probe)
        finally:
            probe.unlink()
        faults = {name: _in_a_line(answer) for name, answer in answers.items() if answer != content}
        if faults:
            raise LatexifyError(
                f"{_listed(faults)}: workers must read and write {place.parent}; choose a folder that all machines "
                "share, or an object store with its settings in every worker's environment"
            )


def _read(place: Location) -> bytes:
    return place.read_bytes()


def _listed(faults: Mapping[str, str]) -> str:
    named = "; ".join(f"worker {name}: {fault}" for name, fault in list(faults.items())[:_NUM_NAMED])
    return named + (f"; and {len(faults) - _NUM_NAMED} more workers" if len(faults) > _NUM_NAMED else "")


def _in_a_line(answer: object) -> str:
    """The last line of an error; Ray puts a traceback before it."""
    text = str(answer).strip() if isinstance(answer, BaseException) else repr(answer)
    return (text.splitlines() or [type(answer).__name__])[-1]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Task:
    """A batch of calls on its way to a worker, which may have joined after all were asked for their versions."""

    batch: Callable[[], Any]
    versions: Mapping[str, str]

    def __call__(self) -> Any:
        if unlike := differences(self.versions, versions()):
            raise LatexifyError(
                f"worker on {socket.gethostname()}: {', '.join(unlike)}: it joined with other code or libraries; stop "
                "it, and run the same command again"
            )
        return self.batch()


class FuturesBackend(ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """joblib's plug for whatever answers a task with a future: streams, and hears of every task that fails."""

    supports_retrieve_callback = True

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(nesting_level=0)
        self._cluster = cluster

    def effective_n_jobs(self, n_jobs: int) -> int:
        """At least two, for joblib runs one job in this process."""
        return max(2, n_jobs)

    def submit(self, func: Callable[[], Any], callback: Callable[..., Any]) -> "Future[Any]":
        """Start a batch of calls; `callback` takes the future once it is done."""
        future = self._cluster.start(_Task(func, versions()))
        future.add_done_callback(callback)
        return future

    def retrieve_result_callback(self, out: "Future[Any]") -> Any:
        """The results of a batch, or its error."""
        return self._cluster.unwrap_result(out)
