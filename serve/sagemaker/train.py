"""Run the stages of a SageMaker training job on its channels and folders.

Each stage is the command that a user would run, in its own process. torchrun starts training if there is more than one
GPU or instance. SIGTERM, which SageMaker sends two minutes before it ends a job, is forwarded.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Any

from latexify.common.errors import LatexifyError
from latexify.serve.sagemaker.job import TrainingJob

PORT = 29400
STOPPED = 128 + signal.SIGTERM  # exit code after SIGTERM, as in a shell
NUM_LINES_KEPT = 40  # last lines of a stage's stderr to keep for the error message


def run(  # noqa: PLR0913  # all keyword-only but two
    job: TrainingJob,
    params: Mapping[str, Any],
    *,
    children: "ProcessRunner",
    work: Path,
    num_gpus: int,
    port: int = PORT,
) -> int:
    """Run the stages that the job's channels leave to do, up to the model in ``/opt/ml/model``; return the exit code.

    `work` is this instance's folder for intermediate artifacts. All instances must have the same number of GPUs. The
    first instance waits for the others on `port`. Raises LatexifyError with the last message of a stage that fails.
    """
    arguments = make_project(job, params, work=work)
    for stage in stages(job.channels):
        start = launcher(job, num_gpus=num_gpus, port=port) if stage == "train" else [sys.executable, "-P"]
        command = [*start, "-m", "latexify", *arguments, stage]
        code, message = children.run(command, environment=environment(job))
        if code != 0 and children.stopping:
            return STOPPED
        if code != 0:
            raise LatexifyError(f"`latexify {stage}` ended with exit code {code}: {message}")
    return 0


def stages(channels: Mapping[str, Path]) -> list[str]:
    """List the stages to run for these channels. Without data, `source` generates or downloads that of `dataset`."""
    if "shards" in channels:
        return ["train"]
    if "inks" in channels:
        return ["vocab", "rasterize", "train"]
    return ["source", "ingest", "vocab", "rasterize", "train"]


def make_project(job: TrainingJob, params: Mapping[str, Any], *, work: Path) -> list[str]:
    """Make a project of links in `work`, and its parameter file.

    Checkpoints go to ``/opt/ml/checkpoints``, the model to ``/opt/ml/model``, figures to ``/opt/ml/output/data``.
    Returns the command-line options for this project.

    Raises:
        LatexifyError: If one of these folders is not writable, because the container runs as the wrong user.
    """
    linked = {
        "runs": job.checkpoints,
        "data/model": job.model,
        "metrics": job.output / "metrics",
        **{f"data/{name}": path for name, path in job.channels.items() if name in {"inks", "shards", "tokenizer"}},
    }
    (work / "data").mkdir(parents=True, exist_ok=True)
    for name, target in linked.items():
        if not target.is_relative_to(job.root / "input"):
            _require_writable(target)
        (work / name).unlink(missing_ok=True)
        (work / name).symlink_to(target)
    path = work / "params.yaml"  # JSON is YAML
    path.write_text(json.dumps(_with_channels(params, job.channels), indent=2), encoding="utf-8")
    return ["--params", str(path), "--root", str(work)]


def _with_channels(params: Mapping[str, Any], channels: Mapping[str, Path]) -> dict[str, Any]:
    """The parameters, with the folders of those channels that are parameters."""
    changed = dict(params)
    if "raw" in channels:
        changed["raw"] = str(channels["raw"])
    if "model" in channels:
        changed["model"] = {**changed["model"], "base": str(channels["model"])}
    return changed


def _require_writable(folder: Path) -> None:
    with contextlib.suppress(PermissionError):  # reported below
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise LatexifyError(
            f"{folder} is not writable for user {os.getuid()}: build the training image with --build-arg RUN_AS=root"
        )


def count_gpus(devices: Path = Path("/dev")) -> int:
    """Count the container's GPUs by their device files, since importing torch takes seconds."""
    return sum(re.fullmatch(r"nvidia\d+", path.name) is not None for path in devices.iterdir())


def launcher(job: TrainingJob, *, num_gpus: int, port: int) -> list[str]:
    """Return the command that starts training: this Python, or torchrun with a process for each GPU."""
    if len(job.hosts) == 1 and num_gpus <= 1:
        return [sys.executable, "-P"]
    return [
        *(sys.executable, "-P", "-m", "torch.distributed.run"),
        f"--nnodes={len(job.hosts)}",
        f"--node-rank={job.hosts.index(job.host)}",
        f"--nproc-per-node={max(1, num_gpus)}",
        f"--master-addr={job.hosts[0]}",
        f"--master-port={port}",
    ]


def environment(job: TrainingJob) -> dict[str, str]:
    """Return this process's environment variables, plus the network interface between the instances."""
    if job.interface is None:
        return dict(os.environ)
    return os.environ | {"NCCL_SOCKET_IFNAME": job.interface, "GLOO_SOCKET_IFNAME": job.interface}


class ProcessRunner:
    """Runs one process after another and forwards SIGTERM. For the main thread, which receives Python's signals.

    Create it early: a container's first process ignores signals that it has no handler for.
    """

    def __init__(self) -> None:
        self.stopping = False  # whether SIGTERM has arrived; no further process is started then
        self._child: subprocess.Popen[str] | None = None
        signal.signal(signal.SIGTERM, self._stop)

    def run(self, command: Sequence[str], *, environment: Mapping[str, str]) -> tuple[int, str]:
        """Run a command; return its exit code and last message. Its stderr is copied to ours."""
        if self.stopping:
            return STOPPED, ""
        self._child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603  # our own
        self._forward()  # the signal may have arrived before the process started
        lines: deque[str] = deque(maxlen=NUM_LINES_KEPT)
        assert self._child.stderr is not None
        reader = threading.Thread(target=_copy, args=(self._child.stderr, lines), daemon=True)
        reader.start()
        code = self._child.wait()
        reader.join()
        return code, _last_message(lines)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True
        self._forward()

    def _forward(self) -> None:
        if self.stopping and self._child is not None and self._child.poll() is None:
            self._child.terminate()


def _copy(source: IO[str], lines: deque[str]) -> None:
    for line in source:
        sys.stderr.write(line)
        sys.stderr.flush()
        lines.append(line.rstrip("\n"))


def _last_message(lines: Sequence[str]) -> str:
    """The error message of our command line, or the last lines after a crash."""
    starts = [i for i, line in enumerate(lines) if line.startswith("latexify: ")]
    kept = list(lines)[starts[-1] :] if starts else list(lines)[-5:]
    return "\n".join(kept).removeprefix("latexify: ")
