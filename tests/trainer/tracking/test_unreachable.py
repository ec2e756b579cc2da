"""Trackers whose server is not there, or goes away in the middle: one line, soon, and the training goes on."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from latexify import Callback
from tests.support.cluster_processes import free_port
from tests.support.repository import REPOSITORY
from tests.support.trainer_data import history, train

torch.set_num_threads(1)

PATIENCE_S = 120
"""Longest wait for a tracker, on a machine that is busy otherwise."""


class Mlflow(BaseHTTPRequestHandler):
    """Answers as MLflow's server does, as far as a training asks, until it is told of step 4."""

    def do_GET(self) -> None:
        self._answer({"experiment": {"experiment_id": "1", "name": "latexify", "lifecycle_stage": "active"}})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if any(metric["step"] >= 4 for metric in asked.get("metrics", [])):
            self.server.is_gone = True  # type: ignore[attr-defined]
        if getattr(self.server, "is_gone", False):
            self.close_connection = True  # without an answer
            return
        info = {"run_id": "0" * 32, "run_uuid": "0" * 32, "experiment_id": "1", "status": "RUNNING", "start_time": 1}
        self._answer({"run": {"info": info, "data": {}}, "run_info": info})

    def _answer(self, content: Any) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def mlflow_server() -> Iterator[str]:
    """The address of a server that goes away."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mlflow)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def lines_of(capsys: pytest.CaptureFixture[str], name: str) -> list[str]:
    """What the training said of a tracker that it goes on without."""
    return [line for line in capsys.readouterr().err.splitlines() if f"without {name}" in line]


def train_to_the_end(data: Path, root: Path, *, log_to: list[str], **params: Any) -> float:
    """Train 6 steps; return the seconds that it took."""
    started = time.monotonic()
    train(data, root, max_steps=6, log_to=log_to, **params)
    assert [row["step"] for row in history(root)] == ["2", "4", "6"]
    return time.monotonic() - started


def test_a_server_of_mlflow_that_is_not_there(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By MLflow's own settings it would be waited for for minutes."""
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    assert train_to_the_end(training_data, tmp_path, log_to=["mlflow"]) < PATIENCE_S
    [line] = lines_of(capsys, "mlflow")
    assert line.startswith("train: without mlflow (MlflowException: API request to http://127.0.0.1:")


def test_a_server_of_mlflow_that_goes_away(
    training_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mlflow_server: str,
) -> None:
    """The others get all rows."""
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    assert train_to_the_end(training_data, tmp_path, log_to=["mlflow", "tensorboard"]) < PATIENCE_S
    [line] = lines_of(capsys, "mlflow")
    assert line.startswith("train: without mlflow from here on (MlflowException: API request to")
    assert not lines_of(capsys, "tensorboard")


PROGRAM = """
import sys
from pathlib import Path
import torch
from tests.support.repository import REPOSITORY
from tests.support.trainer_data import train
torch.set_num_threads(1)
named = ["tests.trainer.tracking.test_unreachable:KillWandb"] if sys.argv[3] == "kill" else []
train(Path(sys.argv[1]), Path(sys.argv[2]), max_steps=6, log_to=["wandb"], callbacks=named)
"""


class KillWandb(Callback):
    """Kills the process in which W&B writes, after the second step."""

    def on_row(self, row: Any) -> None:
        if row["step"] == 2:
            for process in psutil.Process().children(recursive=True):
                if "wandb" in process.name():
                    os.kill(process.pid, signal.SIGKILL)


def train_with_wandb(data: Path, root: Path, *, kill: bool = False, **environment: str) -> list[str]:
    """Train in another process, since W&B keeps one of its own; return the lines on training without it."""
    pytest.importorskip("wandb")
    (root / "home").mkdir()
    settings = {"HOME": str(root / "home"), "WANDB_SILENT": "true", "WANDB_API_KEY": "0" * 40, **environment}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(data), str(root), "kill" if kill else "go on"],
        cwd=REPOSITORY,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert [row["step"] for row in history(root)] == ["2", "4", "6"]
    return [line for line in done.stderr.splitlines() if "without wandb" in line]


@pytest.mark.slow
def test_a_server_of_wandb_that_is_not_there(training_data: Path, tmp_path: Path) -> None:
    """With a key it is asked for; a cluster without internet must not wait for it for ever."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    [line] = train_with_wandb(training_data, tmp_path, WANDB_MODE="online", WANDB_BASE_URL=nowhere)
    assert line.startswith("train: without wandb (")


@pytest.mark.slow
def test_the_process_of_wandb_that_dies(training_data: Path, tmp_path: Path) -> None:
    """Such as by the kernel, for want of memory."""
    [line] = train_with_wandb(training_data, tmp_path, kill=True, WANDB_MODE="offline")
    assert line.startswith("train: without wandb from here on (")
