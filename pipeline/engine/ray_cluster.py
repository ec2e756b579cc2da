"""Tasks on a Ray cluster."""

import contextlib
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from latexify.common.errors import LatexifyError, first_line
from latexify.pipeline.engine.cluster import CONNECT_TIMEOUT_S, Cluster

_CHECK_INTERVAL_S = 2.0
JOIN_TIMEOUT_S = 120.0  # for a node under load; an idle one takes three seconds
_JOIN = "import sys, logging, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.ERROR)"


class RayCluster(Cluster):
    """A Ray head at ``host:6379`` if this machine is a node of its cluster, or at ``ray://host:10001`` otherwise."""

    how_to_start = (
        "`ray start --head --port 6379` on one machine, `ray start --address HOST:6379` on the others and on this one"
    )

    def __init__(self, address: str) -> None:
        self._address = address
        if fault := joining_problem(address):
            raise LatexifyError(f"{fault}: start {self.how_to_start}")
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:  # it went away since it was tried
            raise LatexifyError(f"{_not_joined(address, error)}: start {self.how_to_start}") from None
        self._remote = ray.remote(_run)
        self._pending: set[Future[Any]] = set()
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def num_slots(self) -> int:
        """Return the number of CPUs of all nodes."""
        return int(ray.cluster_resources().get("CPU", 0))

    def start(self, task: Callable[[], Any]) -> "Future[Any]":
        """Submit the task; Ray keeps its data until it is done."""
        future: Future[Any] = self._remote.remote(task).future()
        self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return future

    def run_on_every_worker(self, function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        """Run `function` once on every node that has CPUs."""
        nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        references = {
            node["NodeManagerAddress"]: self._remote.options(
                num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(function, *arguments)
            for node in nodes
        }
        return {name: _result(reference) for name, reference in references.items()}

    def unwrap_result(self, future: "Future[Any]") -> Any:
        """See `Cluster`; unwraps a task's own error, and reports workers that died and a lost head."""
        try:
            return future.result()
        except RayTaskError as error:
            raise error.cause from None
        except (RayError, ConnectionError) as error:
            raise LatexifyError(
                f"Ray at {self._address} gave up a task ({first_line(error)}): look at its logs, then run the same "
                "command again, which continues"
            ) from None

    def close(self) -> None:
        """Disconnect and give up running tasks."""
        self._ended.set()
        ray.shutdown()

    def _watch(self) -> None:
        """Fail tasks if the head is lost, because Ray says nothing for a minute and then ends the process."""
        last_answer_s = time.monotonic()
        while not self._ended.wait(_CHECK_INTERVAL_S):
            if _answers(self._address, timeout_s=_CHECK_INTERVAL_S):
                last_answer_s = time.monotonic()
            elif time.monotonic() - last_answer_s > CONNECT_TIMEOUT_S:
                for future in list(self._pending):
                    with contextlib.suppress(InvalidStateError):  # it finished in the meantime
                        future.set_exception(ConnectionError("the head does not answer any more"))


def joining_problem(address: str) -> str | None:
    """Return why the cluster at `address` cannot be joined from here, or None if it can.

    This is tried in another process, because Ray ends the process that connects to a half-dead head, without a message.
    """
    if not _answers(address, timeout_s=CONNECT_TIMEOUT_S):
        return f"no Ray head answers at {address}"
    command = [sys.executable, "-c", _JOIN, address]
    try:
        joining = subprocess.run(command, capture_output=True, text=True, timeout=JOIN_TIMEOUT_S, check=False)  # noqa: S603  # our own
    except subprocess.TimeoutExpired:
        return _not_joined(address, f"no answer within {JOIN_TIMEOUT_S:.0f} s")
    if joining.returncode == 0:
        return None
    silent = f"it ended the process that connected, exit code {joining.returncode}"
    return _not_joined(address, [silent, *joining.stderr.strip().splitlines()][-1])


def _not_joined(address: str, fault: object) -> str:
    return f"Ray at {address} cannot be joined ({fault})"


def _run(task: Callable[..., Any], *arguments: Any) -> Any:
    return task(*arguments)


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference, timeout=JOIN_TIMEOUT_S)  # the node may have to start a process for it
    except RayError as error:
        return error


def _answers(address: str, *, timeout_s: float) -> bool:
    """Whether a server listens at ``host:port`` or ``ray://host:port``."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=timeout_s):
            return True
    except (OSError, ValueError):
        return False
