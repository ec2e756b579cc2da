"""Servers in processes of their own, and their memory."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import psutil

START_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is ready; its URL has no trailing slash."""

    url: str
    port: int
    process: psutil.Process

    @property
    def memory_mib(self) -> float:
        """Resident memory."""
        return float(self.process.memory_info().rss) / 2**20


@contextmanager
def started(command: Sequence[str]) -> Iterator[Server]:
    """Run `python -m` with `command` on a free port, wait until /ready returns 200, and stop it at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    arguments = [sys.executable, "-m", *command, "--port", str(port)]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:  # noqa: S603  # our own
        try:
            _wait_until_ready(url, process)
            yield Server(url=url, port=port, process=psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            if httpx2.get(f"{url}/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the server at {url} did not start: exit code {process.poll()}")
