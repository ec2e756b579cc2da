"""Tasks on a Dask cluster."""

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any
from uuid import uuid4

from dask import config
from distributed import Client, KilledWorker
from distributed.client import FutureCancelledError

from pipeline.cluster import CONNECT_TIMEOUT_S, Cluster
from shards.errors import LatexifyError

START = "`dask scheduler` on one machine, `dask worker tcp://HOST:8786 --nthreads 1 --nworkers auto` on all"


class DaskCluster(Cluster):
    """A scheduler at ``tcp://host:8786`` (or ``tls://…``) and its workers."""

    def __init__(self, address: str) -> None:
        self._address = address
        # losing the scheduler is reported once, by us; a chunk of InkML is a large graph to Dask
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"})
        try:
            self._client = Client(address, timeout=CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise LatexifyError(f"no Dask scheduler answers at {address} ({error}): start {START}") from None
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_TIMEOUT_S)
        except TimeoutError:
            self.close()
            raise LatexifyError(f"the Dask scheduler at {address} has no workers: start {START}") from None

    def num_slots(self) -> int:
        """Threads of all workers."""
        return sum(self._client.nthreads().values())

    def start(self, task: Callable[[], Any]) -> "Future[Any]":
        """Submit the task whole, with its data, so that the scheduler can give it to another worker."""
        future: Future[Any] = self._client.submit(task, pure=False, key=f"latexify-{uuid4().hex}")
        return future

    def ask_each(self, question: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """Run `question` on every worker, whatever it is busy with."""
        answers: Mapping[str, Any] = self._client.run(question, *arguments, on_error="return")
        return answers

    def explain(self, error: BaseException) -> BaseException:
        """Tell of workers that died, and of the scheduler."""
        match error:
            case KilledWorker():
                return LatexifyError(
                    f"a task ended {error.last_worker.address} and the workers before, most likely for want of memory: "
                    "look at the workers' logs, then run the same command again, it goes on"
                )
            case FutureCancelledError() | OSError():
                return LatexifyError(
                    f"the connection to the Dask scheduler at {self._address} was lost ({error}): "
                    "when it is back, run the same command again, it goes on"
                )
        return error

    def close(self) -> None:
        """Disconnect, which gives up tasks under way."""
        self._client.close(timeout=CONNECT_TIMEOUT_S)
