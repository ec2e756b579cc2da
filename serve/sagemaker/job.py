"""What SageMaker tells a training container: files under /opt/ml, read and checked.

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
RESERVED = ("_", "sagemaker_")
"""How names begin that SageMaker adds to the hyperparameters by itself."""
MAX_REASON_CHARS = 1024
"""SageMaker shows no more of the reason for a failure."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A training job. root: /opt/ml. hyperparameters: values parsed, names still dotted. channels: folder by name.

    hosts: names of all instances, sorted, so that each counts them alike. host: this one's. interface: of the network
    between them; None where there is one instance.
    """

    root: Path
    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, Path]
    hosts: Sequence[str]
    host: str
    interface: str | None

    @property
    def hyperparameters_path(self) -> Path:
        """The file that a mistake in a parameter is found in."""
        return self.root / "input/config/hyperparameters.json"

    @property
    def model(self) -> Path:
        """What is in this folder at the end becomes model.tar.gz."""
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        """SageMaker copies this folder to S3, and back before a job that was interrupted starts again."""
        return self.root / "checkpoints"

    @property
    def output(self) -> Path:
        """What is in this folder at the end becomes output.tar.gz."""
        return self.root / "output/data"


def read_job(root: Path = ROOT) -> Job:
    """Read the job's description. Raises LatexifyError where it is missing, or asks for what cannot be done."""
    config = root / "input/config"
    hyperparameters = _read(config / "hyperparameters.json", default={})
    channels = _read(config / "inputdataconfig.json", default={})
    resources = _read(config / "resourceconfig.json", default={"hosts": ["localhost"], "current_host": "localhost"})
    hosts = sorted(resources["hosts"])
    _check_channels(channels, num_hosts=len(hosts))
    return Job(
        root=root,
        hyperparameters=_values(hyperparameters, path=config / "hyperparameters.json"),
        channels={name: root / "input/data" / name for name in channels},
        hosts=hosts,
        host=resources["current_host"],
        interface=resources.get("network_interface_name") if len(hosts) > 1 else None,
    )


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train.max_steps": 5}`` as the sections of ``params.yaml``: ``{"train": {"max_steps": 5}}``.

    Raises LatexifyError for a name that is both a parameter and a section.
    """
    sections: dict[str, Any] = {}
    for name, value in sorted(dotted.items()):
        *parents, last = name.split(".")
        section = sections
        for parent in parents:
            section = section.setdefault(parent, {})
            if not isinstance(section, dict):
                raise LatexifyError(f"hyperparameter {name}: {parent} is given a value as well; remove one of the two")
        section[last] = value
    return sections


def write_failure(root: Path, reason: str) -> None:
    """Write what SageMaker shows as the reason why the job failed: its end, if it is long."""
    path = root / "output/failure"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reason[-MAX_REASON_CHARS:], encoding="utf-8")


def _read(path: Path, *, default: dict[str, Any]) -> dict[str, Any]:
    """A JSON object; `default` where the file is missing, as SageMaker writes none that would be empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return default
    except ValueError as error:
        raise LatexifyError(f"{path} is not JSON ({error}): it is not what SageMaker writes") from None
    if not isinstance(content, dict):
        raise LatexifyError(f"{path} holds a {type(content).__name__}, not an object: it is not what SageMaker writes")
    return content


def _values(texts: Mapping[str, str], *, path: Path) -> dict[str, Any]:
    """The values, of which SageMaker keeps the text only, as in ``params.yaml``: `5e-5`, `true`, `[encoder]`, `null`.

    JSON reads the same, so that values which SageMaker's SDK has quoted come out as they were meant.
    """
    values = {}
    for name, text in texts.items():
        if name.startswith(RESERVED):
            continue
        try:
            values[name] = YAML(typ="safe", pure=True).load(text)
        except (YAMLError, AttributeError, TypeError):
            raise LatexifyError(f"{path}: {name}: {text!r} is no value as in params.yaml: quote it") from None
    return values


def _check_channels(channels: Mapping[str, Any], *, num_hosts: int) -> None:
    problems = []
    for name, settings in channels.items():
        if name not in CHANNELS:
            problems.append(f"{name}: unknown; there are {', '.join(CHANNELS)}")
        if settings.get("TrainingInputMode") == "Pipe":
            problems.append(f"{name}: set its input mode to File or FastFile; a pipe cannot be read twice")
        if num_hosts > 1 and settings.get("S3DistributionType") == "ShardedByS3Key":
            problems.append(f"{name}: set its distribution to FullyReplicated; each instance needs all of it")
    if ("shards" in channels) != ("tokenizer" in channels):
        problems.append("shards, tokenizer: give both, as one was made with the other")
    if problems:
        raise LatexifyError(
            f"{len(problems)} input channel(s) cannot be used\n" + "\n".join(f"  {p}" for p in problems)
        )
