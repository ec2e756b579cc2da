"""Kill trainings at random moments and compare what comes out in the end: `make kill-training`.

A small training is run once undisturbed. Then it is run again and again in other folders, its process group killed with
SIGKILL after random times, the same command started after each kill, until it is done. Weights and history must be
those of the undisturbed run, to the bit.
"""

import argparse
import csv
import hashlib
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from latexify.trainer.loop.history import CLOCK_COLUMNS

PHASES = {
    "validation.py": "validating",
    "checkpoint.py": "writing or reading a checkpoint",
    "export.py": "exporting",
    "step.py": "in a step",
    "batches.py": "waiting for samples",
    "loop.py": "between steps",
}
"""Modules of the trainer, innermost first, and what a process is doing that is in them."""
STARTER = """\
import faulthandler, signal, sys
faulthandler.register(signal.SIGUSR1, file=open(sys.argv.pop(1), "a"), all_threads=False)
from latexify.cli.app import main
main()
"""
"""Runs the command line so that it writes where it is when it is asked, a moment before it is killed."""
TRACE_S = 0.02
"""Time to write that."""
REPOSITORY = Path(__file__).resolve().parents[2]
PARAMS = """\
dataset: synthetic
synthetic: {num_train: 300, num_valid: 40, num_test: 10, num_writers: 30, max_tokens: 6}
rasterize: {height_px: 32, width_px: 64, samples_per_shard: 100}
train:
  {max_steps: 60, global_batch: 8, micro_batch: 4, warmup_steps: 5, dropout: 0.1, augment_strength: 0.5, ema_decay: 0.9,
   log_steps: 4, validate_steps: 15, validate_samples: 24, checkpoint_steps: 3, keep_checkpoints: 2, num_threads: 1}
"""


def latexify(folder: Path, *stage: str) -> subprocess.Popen[bytes]:
    """Start a stage in a folder, as the leader of a process group."""
    command = [
        sys.executable,
        "-c",
        STARTER,
        str(folder / "trace.txt"),
        "--params",
        str(folder / "params.yaml"),
        "--root",
        str(folder),
        *stage,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(  # noqa: S603  # our own command
        command, cwd=REPOSITORY, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )


def digest(folder: Path) -> tuple[str, str]:
    """Hashes of the exported weights, and of the history without what the clock says."""
    weights = hashlib.sha256((folder / "data/model/model.safetensors").read_bytes()).hexdigest()
    with (folder / "data/model/history.csv").open() as file:
        rows = [[(k, v) for k, v in row.items() if k not in CLOCK_COLUMNS] for row in csv.DictReader(file)]
    return weights, hashlib.sha256(repr(rows).encode()).hexdigest()


def phase(trace: Path) -> str:
    """What a process was doing when it was killed, by the innermost module of the trainer that it was in."""
    for line in trace.read_text().splitlines() if trace.exists() else ():
        path, _, _ = line.removeprefix('  File "').partition('"')
        if path.startswith(f"{REPOSITORY}/trainer/") and Path(path).name in PHASES:
            return PHASES[Path(path).name]
    return "starting or ending"


def ask_and_kill(process: subprocess.Popen[bytes], trace: Path) -> str:
    """Kill a process group; what it was doing."""
    trace.write_text("")  # the process has it open
    os.kill(process.pid, signal.SIGUSR1)
    time.sleep(TRACE_S)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return phase(trace)


def kill_once(folder: Path, *, after_s: float) -> str | None:
    """Start the training and kill it after some time; what it was doing, None where it was done before."""
    process = latexify(folder, "train")
    try:
        code = process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        return ask_and_kill(process, folder / "trace.txt")
    assert code == 0, f"the training failed with {code}"
    return None


def prepare(folder: Path) -> float:
    """Make shards, train undisturbed; seconds that the training took."""
    (folder / "params.yaml").write_text(PARAMS)
    for stage in ("source", "ingest", "vocab", "rasterize"):
        assert latexify(folder, stage).wait() == 0, stage
    started = time.monotonic()
    assert latexify(folder, "train").wait() == 0
    return time.monotonic() - started


def main() -> None:
    """Kill, resume, compare; ends with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as work:
        whole = Path(work, "whole")
        whole.mkdir()
        duration_s = prepare(whole)
        expected = digest(whole)
        kills: Counter[str] = Counter()
        num_runs = num_identical = 0
        while kills.total() < options.kills:
            folder = Path(work, f"run{num_runs}")
            shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("runs", "model", "metrics"))
            started, has_been_killed = time.monotonic(), False
            while (doing := kill_once(folder, after_s=moments.uniform(0.2, 1.1) * duration_s)) is not None:
                kills[doing] += 1
                has_been_killed = True
                print(f"{kills.total()} of {options.kills} kills", file=sys.stderr, flush=True)
            if not has_been_killed:  # the machine is less busy than it was
                duration_s = min(duration_s, time.monotonic() - started)
            num_runs += 1
            found = digest(folder)
            num_identical += found == expected
            for name, one, other in zip(("weights", "history"), expected, found, strict=True):
                if one != other:
                    print(f"run {num_runs}: the {name} differ")
            shutil.rmtree(folder)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, {platform.machine()}, seed {options.seed}")
    print(f"an undisturbed run: {duration_s:.1f} s")
    print(f"{kills.total()} kills: " + ", ".join(f"{count} {name}" for name, count in kills.most_common()))
    print(f"{num_runs} runs finished, {num_identical} with the weights and the history of the undisturbed one")
    sys.exit(num_identical != num_runs)


if __name__ == "__main__":
    main()
