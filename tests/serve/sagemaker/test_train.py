"""Training jobs as on SageMaker, with /opt/ml in a temporary folder: real stages, real kills."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from latexify.cli.recipe import merged, sagemaker_train
from latexify.common.errors import LatexifyError
from latexify.serve.sagemaker.job import TrainingJob
from latexify.serve.sagemaker.train import count_gpus, launcher, stages
from tests.support.repository import REPOSITORY
from tests.support.sagemaker_job import QUICK, make_job
from tests.support.trainer_data import make_base, make_shards, make_tokenizer


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data in S3: shards, their tokenizer, a base model."""
    folder = tmp_path_factory.mktemp("data")
    tokenizer = make_tokenizer(folder / "tokenizer")
    make_shards(folder / "shards")
    make_base(folder / "model", tokenizer)
    return folder


def start(root: Path, *options: str) -> subprocess.Popen[str]:
    """Start the container's `train` in its own process group."""
    command = [sys.executable, "-P", "-m", "latexify", "sagemaker-train", "--root", str(root), *options]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [*command, "--work", str(root / "work")],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Wait for the end; return exit code and stderr. A job that hangs is killed with all its children."""
    try:
        _, errors = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail("the job hangs")
    return process.returncode, errors


def last_step(root: Path) -> int:
    """Last step with a checkpoint in the folder that SageMaker keeps; 0 if there is none."""
    return max((int(path.stem.split("-")[1]) for path in root.glob("checkpoints/*/step-*.pt")), default=0)


def wait_for_checkpoint(root: Path, *, after: int) -> None:
    """Wait for a checkpoint of a later step."""
    deadline = time.monotonic() + 90
    while last_step(root) <= after:
        assert time.monotonic() < deadline, "no checkpoint"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def finished(channels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job without interruptions."""
    root = make_job(tmp_path_factory.mktemp("finished"), channels)
    code, errors = finish(start(root))
    assert code == 0, errors
    (root / "log").write_text(errors)
    return root


def test_the_log_has_the_metrics_of_the_documentation(finished: Path) -> None:
    """A tuning job without metrics in the log fails after its first training."""
    definitions = re.findall(r'"Regex": r"(.*)"', (REPOSITORY / "docs/guide/sagemaker.md").read_text())
    values = [re.findall(pattern, (finished / "log").read_text()) for pattern in definitions]
    assert [len(each) for each in values] == [2, 2]
    best = json.loads((finished / "output/data/metrics/train.json").read_text())
    assert f"{best['valid_loss']:.3f}" in values[0]
    assert f"{100 * best['valid_cer']:.1f}" in values[1]


def test_model_checkpoints_and_figures_are_in_the_folders_that_sagemaker_keeps(finished: Path) -> None:
    """Files elsewhere are lost when the container ends."""
    manifest = json.loads((finished / "model/manifest.json").read_text())
    assert manifest["params"]["train"]["learning_rate"] == 1e-3
    assert manifest["params"]["train"]["schedule"] == "cosine"
    assert (finished / "model/model.safetensors").is_file()
    assert list(finished.glob("checkpoints/*/step-00000060.pt"))
    assert json.loads((finished / "output/data/metrics/train.json").read_text())["steps"] == 60
    assert not (finished / "output/failure").exists()


@pytest.mark.slow
def test_a_spot_job_that_is_interrupted_twice_gives_the_same_model(
    channels: Path, finished: Path, tmp_path: Path
) -> None:
    """A spot instance ends with two minutes' notice, or none; the next one only has the checkpoints."""
    before = None
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -9), (None, 0)):
        root = make_job(tmp_path / str(code), channels)
        if before is not None:
            shutil.copytree(before / "checkpoints", root / "checkpoints", dirs_exist_ok=True)
        reached = last_step(root)
        process = start(root)
        if number is not None:
            wait_for_checkpoint(root, after=reached)
        if number == signal.SIGTERM:
            process.send_signal(number)  # to the container's first process, as Docker does
        elif number == signal.SIGKILL:
            os.killpg(process.pid, number)
        ended, errors = finish(process)
        assert ended == code, errors
        assert not (root / "output/failure").exists(), "an interruption is not a failure"
        assert (root / "model/model.safetensors").exists() == (code == 0)
        before = root
    expected = load_file(finished / "model/model.safetensors")
    for name, value in load_file(root / "model/model.safetensors").items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.slow
def test_two_instances_train_together(channels: Path, finished: Path, tmp_path: Path) -> None:
    """Instances have separate folders; one writes the model, which equals that of one instance up to rounding."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    hosts = ("localhost", "127.0.0.1")  # the others connect to the first by name
    exact = QUICK | {"train.micro_batch": "4"}
    roots = [
        make_job(tmp_path / f"host-{n}", channels, hosts=hosts, host=host, hyperparameters=exact)
        for n, host in enumerate(hosts)
    ]
    processes = [start(root, "--port", port) for root in roots]
    for process in processes:
        code, errors = finish(process)
        assert code == 0, errors
    assert [(root / "model/model.safetensors").exists() for root in roots] == [False, True]
    one = json.loads((finished / "output/data/metrics/train.json").read_text())
    two = json.loads((roots[1] / "output/data/metrics/train.json").read_text())
    assert two["samples_seen"] == one["samples_seen"]
    assert two["valid_loss"] == pytest.approx(one["valid_loss"], rel=0.01)


@pytest.mark.parametrize(
    ("hyperparameters", "reason"),
    [
        ({"train.max_step": "5"}, "train.max_step: unknown parameter, did you mean `max_steps`?"),
        ({"train.max_steps": "many"}, "train.max_steps: input should be a valid integer"),
        ({"train.max_steps": "["}, "train.max_steps: '[' is not a value as in params.yaml"),
        ({"train": "1", "train.max_steps": "5"}, "hyperparameter train.max_steps: train has a value as well"),
        ({"recipe": "crohme"}, "no recipe 'crohme': choose from crohme-scratch"),
    ],
)
def test_a_mistake_in_the_hyperparameters_is_shown_in_the_console(
    tmp_path: Path, hyperparameters: dict[str, str], reason: str
) -> None:
    """SageMaker only shows the file `failure`; a bare `Error 1` would not help the user."""
    root = make_job(tmp_path, hyperparameters=hyperparameters)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(LatexifyError):
            sagemaker_train(root=root, work=tmp_path / "work")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert reason in (root / "output/failure").read_text()


def test_the_reason_of_a_failed_stage_is_reported(channels: Path, tmp_path: Path) -> None:
    """The error of a nested process must reach SageMaker."""
    names = ("shards", "tokenizer")
    (tmp_path / "s3").mkdir()
    for name in names:
        (tmp_path / "s3" / name).symlink_to(channels / name)
    root = make_job(tmp_path / "ml", tmp_path / "s3", hyperparameters={"model.base": "/nowhere"})
    code, errors = finish(start(root))
    assert code == 1
    reason = (root / "output/failure").read_text()
    assert reason.startswith("`latexify train` ended with exit code 1: ")
    assert "/nowhere" in reason
    assert "Traceback" not in errors


def test_hyperparameters_override_a_recipe() -> None:
    """SageMaker accepts at most a hundred hyperparameters, and a recipe's name is easier to get right."""
    sections = merged({"recipe": "crohme-scratch", "train.max_steps": 7, "seed": 3})
    assert sections["dataset"] == "crohme"
    assert sections["rasterize"]["width_px"] == 256
    assert sections["train"]["max_steps"] == 7
    assert sections["train"]["schedule"] == "wsd"
    assert sections["seed"] == 3


def test_every_gpu_of_every_instance_gets_a_process(tmp_path: Path) -> None:
    """Idle GPUs are paid for too; and instances that number themselves differently never connect."""
    alone = TrainingJob(
        root=tmp_path, hyperparameters={}, channels={}, hosts=["algo-1"], host="algo-1", interface="eth0"
    )
    assert launcher(alone, num_gpus=0, port=1) == launcher(alone, num_gpus=1, port=1) == [sys.executable, "-P"]
    assert "--nproc-per-node=8" in launcher(alone, num_gpus=8, port=1)
    second = launcher(replace(alone, hosts=["algo-1", "algo-2"], host="algo-2"), num_gpus=4, port=7)
    assert {"--nnodes=2", "--node-rank=1", "--nproc-per-node=4", "--master-addr=algo-1"} <= set(second)


def test_gpus_are_counted_by_their_device_files(tmp_path: Path) -> None:
    """`nvidiactl` and `nvidia-uvm` exist as well, and are not GPUs."""
    for name in ("null", "nvidia0", "nvidia1", "nvidia12", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert count_gpus(tmp_path) == 3


def test_the_channels_determine_the_stages() -> None:
    """Prepared data must not be prepared again on a machine with eight GPUs."""
    folder = Path("x")
    assert stages({"shards": folder, "tokenizer": folder}) == ["train"]
    assert stages({"inks": folder}) == ["vocab", "rasterize", "train"]
    assert stages({"raw": folder})[0] == stages({})[0] == "source"
