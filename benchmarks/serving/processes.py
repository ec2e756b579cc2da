"""Servers in processes of their own, of this version and of earlier ones, and their memory."""

import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from benchmarks.bench.memory import peak_mib
from benchmarks.machine import REPOSITORY

START_TIMEOUT_S = 120


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that is ready; its URL has no trailing slash."""

    url: str
    port: int
    process: psutil.Process

    @property
    def memory_mib(self) -> float:
        """Resident memory of all its processes; what they share counts in each."""
        return sum(process.memory_info().rss for process in self._processes()) / 2**20

    @property
    def peak_mib(self) -> float:
        """Sum of the largest resident memory of each process since it started or :meth:`reset_peak` (Linux only)."""
        return sum(peak_mib(process.pid) for process in self._processes())

    @property
    def cpu_s(self) -> float:
        """Seconds of the CPU that all its processes have taken; a busy machine hardly changes them."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def reset_peak(self) -> None:
        """Begin a new measurement of the peak."""
        for process in self._processes():
            Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Yield a temporary folder with the files of a commit of this repository."""
    with tempfile.TemporaryDirectory(prefix="latexify-") as folder:
        archive = Path(folder, "commit.tar")
        command = ["git", "archive", "--output", str(archive), commit]
        subprocess.run(command, cwd=REPOSITORY, check=True)  # noqa: S603  # a commit of ours
        with tarfile.open(archive) as tar:
            tar.extractall(Path(folder, "files"), filter="tar")
        yield Path(folder, "files")


@contextmanager
def started(command: Sequence[str], *, version: Path | None = None, num_models: int = 1) -> Iterator[Server]:
    """Run `python -m` with `command` on a free port, wait until all models are loaded, and stop it at the end.

    Args:
        command: The module and its arguments.
        version: Folder with the files of the version that runs; None for this one.
        num_models: How many models it loads, if more than one.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    arguments = [sys.executable, "-m", *command, "--port", str(port)]
    environment = os.environ if version is None else {**os.environ, "PYTHONPATH": str(version)}
    with subprocess.Popen(arguments, cwd=version, env=environment, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            _wait_until_ready(url, process, num_models)
            yield Server(url=url, port=port, process=psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", num_models: int) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            answer = httpx2.get(f"{url}/ready")
            if answer.status_code == 200 and answer.json().get("models", 1) >= num_models:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the server at {url} did not start: exit code {process.poll()}")
