"""The description of a training job: read as SageMaker writes it, refused where the job could not run."""

import json
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.serve.sagemaker.job import nested, read_job, write_failure
from tests.support.sagemaker_job import make_job


@pytest.mark.parametrize(
    ("channels", "resources", "message"),
    [
        ({"training": {}}, {}, "training: unknown; choose from raw, inks, shards, tokenizer, model"),
        ({"shards": {}}, {}, "shards, tokenizer: give both"),
        ({"raw": {"TrainingInputMode": "Pipe"}}, {}, "raw: set its input mode to File or FastFile"),
        (
            {"raw": {"S3DistributionType": "ShardedByS3Key"}},
            {"hosts": ["algo-1", "algo-2"], "current_host": "algo-1"},
            "raw: set its distribution to FullyReplicated",
        ),
    ],
)
def test_unusable_channels_are_refused(
    tmp_path: Path, channels: dict[str, object], resources: dict[str, object], message: str
) -> None:
    """With half of the shards on each instance, training would silently use half of the data."""
    root = make_job(tmp_path)
    (root / "input/config/inputdataconfig.json").write_text(json.dumps(channels))
    if resources:
        (root / "input/config/resourceconfig.json").write_text(json.dumps(resources))
    with pytest.raises(LatexifyError) as caught:
        read_job(root)
    assert message in str(caught.value)


def test_hyperparameters_are_parsed_as_in_params_yaml(tmp_path: Path) -> None:
    """SageMaker turns every value into text; `5e-5` must become a number again, and a quoted value a string."""
    texts = {
        "train.learning_rate": "5e-5",
        "train.freeze": '["encoder"]',
        "train.max_hours": "null",
        "dataset": '"crohme"',
    }
    job = read_job(make_job(tmp_path, hyperparameters=texts))
    sections = {"train": {"learning_rate": 5e-5, "freeze": ["encoder"], "max_hours": None}, "dataset": "crohme"}
    assert nested(job.hyperparameters) == sections


def test_a_container_without_sagemaker_is_one_host(tmp_path: Path) -> None:
    """Users who try the image by hand have no resourceconfig.json."""
    job = read_job(tmp_path)
    assert (job.hosts, job.host, job.interface, job.channels) == (["localhost"], "localhost", None, {})


def test_the_end_of_a_long_reason_is_kept(tmp_path: Path) -> None:
    """SageMaker cuts after 1,024 characters, and the cause is at the end."""
    write_failure(tmp_path, "x" * 5000 + "the cause")
    assert (tmp_path / "output/failure").read_text().endswith("the cause")
