"""`latexify serve` or `demo` as a process, and raw sockets to act as a badly behaved client."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from tests.support.repository import REPOSITORY


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service that is ready; its URL has no trailing slash."""

    process: "subprocess.Popen[str]"
    url: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = httpx2.URL(self.url)
        assert parts.port is not None
        return parts.host, parts.port

    def stop(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def service(model: Path, *arguments: str, name: str = "serve", ready: str = "/ready") -> Iterator[Service]:
    """Start the service on a free port and wait until it is ready; kill it at the end if it still runs."""
    command = [sys.executable, "-m", "latexify", name, "--model", str(model), "--port", "0", "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen([*command, *arguments], env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            match = re.search(r"http://\S+", process.stderr.readline())
            assert match, "the service did not print its URL"
            # it accepts connections now, and answers them once it runs
            transport = httpx2.HTTPTransport(retries=3)
            with httpx2.Client(base_url=match[0], transport=transport, timeout=60) as client:
                while client.get(ready).status_code != 200:
                    assert process.poll() is None
            yield Service(process=process, url=match[0])
        finally:
            process.kill()


def talk(address: tuple[str, int], *pieces: bytes, timeout_s: float = 30) -> bytes:
    """Send raw bytes, and return everything that arrives until the server closes the connection."""
    with socket.create_connection(address, timeout=timeout_s) as connection:
        for piece in pieces:
            connection.sendall(piece)
        answer = b""
        while received := connection.recv(65536):
            answer += received
        return answer
