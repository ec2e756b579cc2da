"""Starting real schedulers, workers and servers for tests, on the loopback, and ending them whatever happens."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY

HOST = "127.0.0.1"
PATIENCE_S = 60.0
"""For what takes two seconds on a free machine."""

S3_SETTINGS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass(frozen=True, kw_only=True)
class DaskProcesses:
    """A scheduler at `address`, and its workers."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: Sequence[subprocess.Popen[bytes]]


def free_port() -> int:
    """A port of the loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    *command: str, log: Path, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own, in an empty folder; all of the session is killed at the end."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env={**os.environ, **(environment or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it ended by itself, or was ended by the test
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=PATIENCE_S)


def wait_for_port(port: int, *, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once somebody listens; fail with what the process said where it ended or took too long."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline_s:
            pytest.fail(f"nobody listens at port {port}: {log.read_text()[-2000:]}")
        time.sleep(0.05)


@contextmanager
def dask_processes(
    folder: Path,
    *,
    code: Sequence[Path],
    environment: Mapping[str, str] | None = None,
) -> Iterator[DaskProcesses]:
    """A Dask scheduler, and for each folder of `code` a worker with one thread that runs the latexify in there.

    environment: added to that of all of them.
    """
    port = free_port()
    address = f"tcp://{HOST}:{port}"
    with ExitStack() as stack:
        log = folder / "scheduler.log"
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", HOST, "--port", str(port)]
        scheduler = stack.enter_context(running(*command, "--no-dashboard", log=log, environment=environment))
        command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--host", HOST, "--nthreads", "1"]
        command += ["--no-nanny", "--no-dashboard", "--memory-limit", "0", "--local-directory", str(folder / "local")]
        workers = [
            stack.enter_context(
                running(*command, log=folder / f"worker{number}.log", environment={**(environment or {}), **runs(root)})
            )
            for number, root in enumerate(code)
        ]
        wait_for_port(port, process=scheduler, log=log)
        from distributed import Client

        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(len(code), timeout=PATIENCE_S)
        yield DaskProcesses(address=address, scheduler=scheduler, workers=workers)


@contextmanager
def ray_head(folder: Path, *, code: Path, num_cpus: int = 2) -> Iterator[Callable[[], str]]:
    """A Ray head that runs the latexify in `code`; yields what waits for it and returns its address."""
    port = free_port()
    command = ["start", "--head", "--block", f"--node-ip-address={HOST}", f"--port={port}", f"--num-cpus={num_cpus}"]
    # a store of the least size Ray takes
    command += [f"--object-store-memory={80 * 1024**2}", "--include-dashboard=false", "--disable-usage-stats"]
    command += [f"--ray-client-server-port={free_port()}", "--min-worker-port=0", "--max-worker-port=0"]
    ray = Path(sys.executable).parent / "ray"
    log = folder / "ray.log"
    environment = {**runs(code), "RAY_USAGE_STATS_ENABLED": "0"}
    with (
        # the names of its sockets would be too long in pytest's folder
        tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as session,
        running(str(ray), *command, f"--temp-dir={session}", log=log, environment=environment) as process,
    ):

        def wait() -> str:
            wait_for_port(port, process=process, log=log)
            return f"{HOST}:{port}"

        yield wait


@contextmanager
def s3_server(folder: Path) -> Iterator[Mapping[str, str]]:
    """An S3-compatible server; yields the environment variables by which clients find it."""
    port = free_port()
    log = folder / "s3.log"
    command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with running(*command, log=log) as process:
        wait_for_port(port, process=process, log=log)
        yield {**S3_SETTINGS, "AWS_ENDPOINT_URL": f"http://{HOST}:{port}"}


def runs(code: Path) -> Mapping[str, str]:
    """Environment in which Python finds latexify in the folder `code`, and what tests send to workers."""
    return {"PYTHONPATH": f"{code}{os.pathsep}{REPOSITORY}"}
