"""A folder as SageMaker makes it before it starts a training container."""

import json
import shutil
from pathlib import Path

QUICK = {
    "train.max_steps": "60",
    "train.global_batch": "8",
    "train.micro_batch": "5",
    "train.warmup_steps": "2",
    "train.learning_rate": "1e-3",
    "train.validate_steps": "30",
    "train.validate_samples": "6",
    "train.checkpoint_steps": "3",
    "train.loader_workers": "0",
    "train.num_threads": "1",
    "train.schedule": '"cosine"',
    "sagemaker_job_name": "set by the SDK",
    "_tuning_objective_metric": "valid_cer",
}


def make_job(
    root: Path,
    channels: Path | None = None,
    *,
    hyperparameters: dict[str, str] | None = None,
    hosts: tuple[str, ...] = ("algo-1",),
    host: str = "algo-1",
) -> Path:
    """Create /opt/ml as SageMaker does before it starts a container. Returns `root`."""
    config = root / "input/config"
    config.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(QUICK if hyperparameters is None else hyperparameters))
    names = [path.name for path in channels.iterdir()] if channels else []
    settings = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    (config / "inputdataconfig.json").write_text(json.dumps(dict.fromkeys(names, settings)))
    resources = {"current_host": host, "hosts": hosts, "network_interface_name": "lo"}
    (config / "resourceconfig.json").write_text(json.dumps(resources))
    for name in ("model", "output", "checkpoints", "input/data"):
        (root / name).mkdir(parents=True)
    for name in names:
        assert channels is not None
        shutil.copytree(channels / name, root / "input/data" / name)
    return root
