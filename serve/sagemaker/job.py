"""Read and check the description of a training job that SageMaker writes under /opt/ml.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from latexify.common.errors import LatexifyError

ROOT = Path("/opt/ml")
CHANNELS = ("raw", "inks", "shards", "tokenizer", "model")
RESERVED_PREFIXES = ("_", "sagemaker_")  # prefixes of hyperparameters that SageMaker adds by itself
MAX_REASON_CHARS = 1024  # length to which SageMaker cuts the reason for a failure


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """A training job."""

    root: Path  # SageMaker's folder, /opt/ml
    hyperparameters: Mapping[str, Any]  # parsed values by dotted name
    channels: Mapping[str, Path]  # folders by name
    hosts: Sequence[str]  # names of all instances, sorted, so that all instances number them alike
    host: str  # name of this instance
    interface: str | None  # network interface between the instances; None for a single instance

    @property
    def hyperparameters_path(self) -> Path:
        """The file that errors about parameters refer to."""
        return self.root / "input/config/hyperparameters.json"

    @property
    def model(self) -> Path:
        """Folder that becomes model.tar.gz after the job."""
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """Folder that SageMaker copies to S3, and back before it restarts an interrupted job."""
        return self.root / "checkpoints"

    @property
    def output(self) -> Path:
        """Folder that becomes output.tar.gz after the job."""
        return self.root / "output/data"


def read_job(root: Path = ROOT) -> TrainingJob:
    """Read the job's description. Raises LatexifyError if it is invalid, or the job cannot be run."""
    config = root / "input/config"
    hyperparameters = _read_json(config / "hyperparameters.json", default={})
    channels = _read_json(config / "inputdataconfig.json", default={})
    alone = {"hosts": ["localhost"], "current_host": "localhost"}
    resources = _read_json(config / "resourceconfig.json", default=alone)
    hosts = sorted(resources["hosts"])
    _check_channels(channels, num_hosts=len(hosts))
    return TrainingJob(
        root=root,
        hyperparameters=_parse_values(hyperparameters, path=config / "hyperparameters.json"),
        channels={name: root / "input/data" / name for name in channels},
        hosts=hosts,
        host=resources["current_host"],
        interface=resources.get("network_interface_name") if len(hosts) > 1 else None,
    )


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Turn dotted names into sections: ``{"train.max_steps": 5}`` into ``{"train": {"max_steps": 5}}``.

    Raises LatexifyError if a name is both a parameter and a section.
    """
    sections: dict[str, Any] = {}
    for name, value in sorted(dotted.items()):
        *parents, last = name.split(".")
        section = sections
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise LatexifyError(f"hyperparameter {name}: {parent} has a value as well; remove one of the two")
        section[last] = value
    return sections


def write_failure(root: Path, reason: str) -> None:
    """Write the reason for a failure, which SageMaker shows; of a long one the end."""
    path = root / "output/failure"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reason[-MAX_REASON_CHARS:], encoding="utf-8")


def _read_json(path: Path, *, default: dict[str, Any]) -> dict[str, Any]:
    """Read a JSON object; `default` if the file is missing, since SageMaker does not write empty ones."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise LatexifyError(f"{path} is not JSON ({error}): SageMaker did not write it") from None
    if not isinstance(content, dict):
        raise LatexifyError(f"{path} holds a {type(content).__name__}, not an object: SageMaker did not write it")
    return content


def _parse_values(texts: Mapping[str, str], *, path: Path) -> dict[str, Any]:
    """Parse values as in ``params.yaml`` (`5e-5`, `true`, `[encoder]`, `null`), as SageMaker only keeps their text.

    JSON is YAML, so values that SageMaker's SDK has quoted are parsed correctly too.
    """
    values = {}
    for name, text in texts.items():
        if name.startswith(RESERVED_PREFIXES):
            continue
        try:
            values[name] = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, AttributeError, TypeError):
            raise LatexifyError(f"{path}: {name}: {text!r} is not a value as in params.yaml: quote it") from None
    return values


def _check_channels(channels: Mapping[str, Any], *, num_hosts: int) -> None:
    problems = []
    for name, settings in channels.items():
        if name not in CHANNELS:
            problems.append(f"{name}: unknown; choose from {', '.join(CHANNELS)}")
        if settings.get("TrainingInputMode") == "Pipe":
            problems.append(f"{name}: set its input mode to File or FastFile; a pipe cannot be read twice")
        if num_hosts > 1 and settings.get("S3DistributionType") == "ShardedByS3Key":
            problems.append(f"{name}: set its distribution to FullyReplicated; each instance needs all of it")
    if ("shards" in channels) != ("tokenizer" in channels):
        problems.append("shards, tokenizer: give both, since the shards were made with the tokenizer")
    if problems:
        raise LatexifyError(
            f"{len(problems)} input channel(s) cannot be used\n" + "\n".join(f"  {problem}" for problem in problems)
        )
