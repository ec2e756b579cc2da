"""Tasks on a Dask cluster."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

import cloudpickle
from dask import config
from distributed import Client, KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from latexify.common.errors import LatexifyError
from latexify.pipeline.engine.cluster import CONNECT_TIMEOUT_S, Cluster


class DaskCluster(Cluster):
    """A Dask scheduler at ``tcp://host:8786`` (or ``tls://…``) and its workers."""

    how_to_start = "`dask scheduler` on one machine, `dask worker tcp://HOST:8786 --nthreads 1 --nworkers auto` on all"

    def __init__(self, address: str) -> None:
        self._address = address
        self._unpack_and_run = _unpack_and_run()
        # this module reports a lost scheduler itself; and Dask takes a chunk of InkML for a large graph
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"})
        try:
            self._client = Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            problem = f"no Dask scheduler answers at {address} ({error})"
            raise LatexifyError(f"{problem}: start {self.how_to_start}") from None
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_S)
        except TimeoutError:
            self.close()
            raise LatexifyError(f"the Dask scheduler at {address} has no workers: start {self.how_to_start}") from None

    def num_slots(self) -> int:
        """Return the number of threads of all workers."""
        return sum(self._client.nthreads().values())

    def start(self, task: Callable[[], Any]) -> "Future[Any]":
        """Submit the task with its data, so that the scheduler can give it to another worker."""
        packed = cloudpickle.dumps(task)
        future: Future[Any] = self._client.submit(self._unpack_and_run, packed, key=f"latexify-{uuid4().hex}")
        return future

    def run_on_every_worker(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """Run `function` on every worker, even if it is busy."""
        results: Mapping[str, Any] = self._client.run(function, *arguments, on_error="return")
        return results

    def unwrap_result(self, future: "Future[Any]") -> Any:
        """See `Cluster`; reports workers that died and a lost scheduler."""
        try:
            return future.result()
        except KilledWorker as error:
            raise LatexifyError(
                f"several workers died at the same task, {error.last_worker.address} the last, most likely out of "
                "memory: look at their logs, then run the same command again, which continues"
            ) from None
        except (FutureCancelledError, CommClosedError):
            lost = f"the connection to the Dask scheduler at {self._address} was lost"
            raise LatexifyError(f"{lost}: when it is back, run the same command again, which continues") from None

    def close(self) -> None:
        """Disconnect and give up running tasks."""
        self._client.close(timeout=CONNECT_TIMEOUT_S)


def _unpack_and_run() -> Callable[[bytes], Any]:
    """Return a function that is pickled as code, for tasks that are sent as bytes.

    The scheduler unpickles what it is sent; this way it needs no latexify and does not unpickle megabytes of InkML.
    """

    def run(packed: bytes) -> Any:
        import pickle  # noqa: PLC0415  # on the worker

        return pickle.loads(packed)()  # noqa: S301  # from our own client

    return run
