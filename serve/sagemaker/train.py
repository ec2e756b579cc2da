"""A training job on SageMaker: its channels and folders put where the stages look for them, and the stages run.

Each stage is the command that a user would run, in a process of its own; training is started by torchrun where there is
more than one GPU or instance. SIGTERM, which SageMaker sends two minutes before the end, is passed on.
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
from latexify.serve.sagemaker.job import Job

PORT = 29400
STOPPED = 128 + signal.SIGTERM
"""Exit code after SIGTERM, as a shell's."""
NUM_LINES_KEPT = 40


def run(  # noqa: PLR0913  # what the job is and where it runs, all named
    job: Job, params: Mapping[str, Any], *, children: "Children", work: Path, num_gpus: int, port: int = PORT
) -> int:
    """Run what the job's channels leave to do, up to the model in ``/opt/ml/model``; returns the exit code.

    params: all parameters. children: what runs the stages. work: a folder of this instance for what is made on the way.
    num_gpus: of this instance; the others must have as many. port: where the first instance waits for the others.

    Raises LatexifyError where a stage fails, with what it said last.
    """
    arguments = lay_out(job, params, work=work)
    for stage in stages(job.channels):
        command = [*(launcher(job, num_gpus=num_gpus, port=port) if stage == "train" else [sys.executable, "-P"])]
        command += ["-m", "latexify", *arguments, stage]
        code, said = children.run(command, environment=environment(job))
        if code != 0 and children.stopping:
            return STOPPED
        if code != 0:
            raise LatexifyError(f"`latexify {stage}` ended with exit code {code}: {said}")
    return 0


def stages(channels: Mapping[str, Path]) -> list[str]:
    """The stages that remain, given what the channels hold; without data, that of `dataset` is made or downloaded."""
    if "shards" in channels:
        return ["train"]
    if "inks" in channels:
        return ["vocab", "rasterize", "train"]
    return ["source", "ingest", "vocab", "rasterize", "train"]


def lay_out(job: Job, params: Mapping[str, Any], *, work: Path) -> list[str]:
    """Make a project of links in `work`, and its parameter file; returns the options that name them.

    Checkpoints go to ``/opt/ml/checkpoints``, the model to ``/opt/ml/model``, figures to ``/opt/ml/output/data``.
    Raises LatexifyError where one of these cannot be written: the container then runs as the wrong user.
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
    """The parameters with the folders of the channels that parameters name."""
    changed = dict(params)
    if "raw" in channels:
        changed["raw"] = str(channels["raw"])
    if "model" in channels:
        changed["model"] = {**changed["model"], "base": str(channels["model"])}
    return changed


def _require_writable(folder: Path) -> None:
    with contextlib.suppress(PermissionError):  # said below
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise LatexifyError(
            f"{folder} cannot be written by user {os.getuid()}: build the image for training with "
            "--build-arg RUN_AS=root"
        )


def count_gpus(devices: Path = Path("/dev")) -> int:
    """GPUs that this container was given: NVIDIA's runtime makes a device file for each. torch takes seconds to ask."""
    return sum(re.fullmatch(r"nvidia\d+", path.name) is not None for path in devices.iterdir())


def launcher(job: Job, *, num_gpus: int, port: int) -> list[str]:
    """What starts training: this Python alone, or torchrun with a process for each GPU of each instance."""
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


def environment(job: Job) -> dict[str, str]:
    """The variables of a stage's process: those of this one, and the network between the instances."""
    if job.interface is None:
        return dict(os.environ)
    return os.environ | {"NCCL_SOCKET_IFNAME": job.interface, "GLOO_SOCKET_IFNAME": job.interface}


class Children:
    """Runs one process after another and passes SIGTERM on to it. For the main thread, where Python takes signals.

    Made early: a container's first process does not even die of a signal that it has not asked for.

    stopping: whether SIGTERM has come; no further process is started then.
    """

    def __init__(self) -> None:
        self.stopping = False
        self._child: subprocess.Popen[str] | None = None
        signal.signal(signal.SIGTERM, self._stop)

    def run(self, command: Sequence[str], *, environment: Mapping[str, str]) -> tuple[int, str]:
        """Run to the end; exit code, and the end of what it wrote to stderr, which goes to ours as well."""
        if self.stopping:
            return STOPPED, ""
        self._child = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)  # noqa: S603  # ours
        self._pass_on()  # the signal may have come before there was a child
        lines: deque[str] = deque(maxlen=NUM_LINES_KEPT)
        assert self._child.stderr is not None
        reader = threading.Thread(target=_copy, args=(self._child.stderr, lines), daemon=True)
        reader.start()
        code = self._child.wait()
        reader.join()
        return code, _reason(lines)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True
        self._pass_on()

    def _pass_on(self) -> None:
        if self.stopping and self._child is not None and self._child.poll() is None:
            self._child.terminate()


def _copy(source: IO[str], lines: deque[str]) -> None:
    for line in source:
        sys.stderr.write(line)
        sys.stderr.flush()
        lines.append(line.rstrip("\n"))


def _reason(lines: Sequence[str]) -> str:
    """The message that the command line ended with, or, of a crash, the last lines."""
    starts = [number for number, line in enumerate(lines) if line.startswith("latexify: ")]
    kept = list(lines)[starts[-1] :] if starts else list(lines)[-5:]
    return "\n".join(kept).removeprefix("latexify: ")
