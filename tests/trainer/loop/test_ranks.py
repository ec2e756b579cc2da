"""Several ranks train as one does: real processes, started by torchrun, over gloo on the CPU."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.support.repository import REPOSITORY

EXACT = {"loader_workers": 0, "micro_batch": 2, "dropout": 0.1}
"""Four micro-batches a step: 1, 2 and 4 ranks share them evenly, so that dropout is the same for all."""


def start(data: Path, place: Path, *, ranks: int, **changes: object) -> subprocess.Popen[str]:
    """Start a training by torchrun."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command = [*launcher, "tests/support/rank_run.py", str(data), str(place), json.dumps(EXACT | changes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end; a run that hangs is killed with all its ranks."""
    try:
        output, errors = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        pytest.fail(f"the ranks hang:\n{output}\n{errors[-3000:]}")
    return process.returncode, output, errors


def train(data: Path, place: Path, *, ranks: int, **changes: object) -> dict[str, float]:
    """Train to the end; the summary."""
    code, output, errors = finish(start(data, place, ranks=ranks, **changes))
    assert code == 0, errors[-3000:]
    summary = json.loads(output.strip().splitlines()[-1])
    assert isinstance(summary, dict)
    return summary


def curve(place: Path, *columns: str) -> list[list[float]]:
    """The named columns of the history, where they have a value."""
    with (place / "model" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [[float(row[column]) for row in rows if row[column]] for column in columns]


@pytest.fixture(scope="module")
def alone(training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """One rank, through the same launcher."""
    place = tmp_path_factory.mktemp("alone")
    return place, train(training_data, place, ranks=1)


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_see_the_losses_of_one_rank(
    training_data: Path, alone: tuple[Path, dict[str, float]], tmp_path: Path, ranks: int
) -> None:
    """More machines must make the same training faster, not another training."""
    place, summary = alone
    found = train(training_data, tmp_path, ranks=ranks)
    names = ("train_loss", "grad_norm", "valid_loss", "valid_cer", "padding_waste", "epoch", "step")
    for name, one, several in zip(names, curve(place, *names), curve(tmp_path, *names), strict=True):
        assert several == pytest.approx(one, rel=1e-4), name
    assert found["samples_seen"] == summary["samples_seen"]
    expected = load_file(place / "model/model.safetensors")
    for name, value in load_file(tmp_path / "model/model.safetensors").items():
        if not name.endswith("k_proj.bias"):  # attention ignores it: its gradient is rounding, which Adam blows up
            torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=1e-4, msg=name)
    assert len(list(tmp_path.glob("runs/*/history.csv"))) == 1


def test_the_number_of_ranks_may_change_between_segments(
    training_data: Path, alone: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    """Spot machines come and go: a run begun on two ranks must go on with one, where it was."""
    place, _ = alone
    process = start(training_data, tmp_path, ranks=2, checkpoint_steps=1, log_steps=1)
    try:
        deadline = time.monotonic() + 90
        while len(list(tmp_path.glob("runs/*/step-*.pt"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    finally:
        process.communicate()
    steps = [int(path.stem.split("-")[1]) for path in tmp_path.glob("runs/*/step-*.pt")]
    assert steps
    found = train(training_data, tmp_path, ranks=1, checkpoint_steps=1, log_steps=1)
    assert found["steps"] == 12
    assert found["samples_seen"] == 12 * 8
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert curve(tmp_path, "valid_loss")[0][-1] == pytest.approx(curve(place, "valid_loss")[0][-1], rel=1e-3)


def test_a_data_error_of_one_rank_stops_all(training_data: Path, tmp_path: Path) -> None:
    """A rank that dies silently leaves the others waiting, and the bill running."""
    shutil.copytree(training_data / "shards", tmp_path / "shards")
    for name in ("tokenizer", "base"):
        (tmp_path / name).symlink_to(training_data / name)
    index = next((tmp_path / "shards").glob("train-00001.tar"))
    content = bytearray(index.read_bytes())
    content[512:520] = (
        b"no  PNG "  # the first member's training_data follows its header: one sample, which one rank reads
    )
    index.write_bytes(content)
    code, output, _ = finish(start(tmp_path, tmp_path, ranks=2))
    assert code == 1
    assert "cannot be read" in output


def test_full_memory_of_one_rank_stops_all(
    training_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait for its gradients in the middle of a step, and would do so for half an hour."""
    monkeypatch.setenv("FULL_MEMORY_OF_RANK", "1")
    code, output, _ = finish(start(training_data, tmp_path, ranks=2))
    assert code == 1
    assert "rank 1: a micro-batch of 2 does not fit into the memory of cpu" in output


def test_sigterm_to_the_launcher_saves_once(training_data: Path, tmp_path: Path) -> None:
    """A spot machine is given notice: all ranks stop after the same step, and one checkpoint is written."""
    process = start(training_data, tmp_path, ranks=2, max_steps=100_000, checkpoint_steps=99_999)
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("runs/*/history.csv")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    code, output, errors = finish(process)
    assert code != 0
    assert len(list(tmp_path.glob("runs/*/step-*.pt"))) == 1, (output, errors[-2000:])


def test_more_ranks_than_a_batch_has_samples_are_refused(training_data: Path, tmp_path: Path) -> None:
    """A rank without samples would leave the others waiting for its gradients."""
    code, output, _ = finish(start(training_data, tmp_path, ranks=4, global_batch=3))
    assert code == 1
    assert "4 ranks cannot share a global batch of 3 samples" in output
