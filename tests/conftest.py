"""Fixtures that several test files share."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support.cluster_processes import dask_processes, ray_head, s3_server
from tests.support.rasterize_data import Rasterize, runner, some_rows, write_inks, write_tokenizer
from tests.support.repository import REPOSITORY
from tests.support.small_project import make_project, train_and_judge

settings.register_profile("latexify", deadline=None)  # a busy machine is not a fault of what is tested
settings.load_profile("latexify")


SLOW = (
    "tests/benchmarks/",
    "tests/end_to_end/",
    "tests/latexify/cli/test_app.py",
    "tests/latexify/cli/test_recognize.py",
    "tests/pipeline/engine/test_cluster.py",
    "tests/pipeline/ingest/test_resume.py",
    "tests/pipeline/rasterize/test_resume.py",
    "tests/pipeline/synthesis/composed/test_compose.py",
    "tests/serve/hub/test_publish.py",
    "tests/serve/sagemaker/test_train.py",
    "tests/serve/test_files.py",
    "tests/trainer/inference/onnx/",
    "tests/trainer/inference/test_constraint.py",
    "tests/trainer/inference/test_from_transformers.py",
    "tests/trainer/inference/test_model.py",
    "tests/trainer/inference/test_well_formed.py",
    "tests/trainer/loop/test_loop.py",
    "tests/trainer/loop/test_ranks.py",
    "tests/trainer/loop/test_resume.py",
    "tests/trainer/loop/test_step.py",
    "tests/trainer/loop/test_validation.py",
    "tests/trainer/model/test_trocr_family.py",
)
"""Files and folders whose tests take more than 15 seconds together; `make test-quick` leaves them out."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow files, and run them first: begun last, they would keep one worker while others wait."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not item.nodeid.startswith(SLOW))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data (see CONTRIBUTING.md); the test is skipped where it is not at hand."""
    folder = os.environ.get("LATEXIFY_REAL_DATA")
    if not folder:
        pytest.skip("LATEXIFY_REAL_DATA is not set: no real inks here")
    path = Path(folder)
    assert path.is_dir(), f"LATEXIFY_REAL_DATA={folder} is not a folder"
    return path


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of sixty inks, its offline stages run one after another on this machine. Not to be changed."""
    root = tmp_path_factory.mktemp("project")
    make_project(root)
    return root


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer folder, for tests of the rasterize stage: a token for each letter. Not to be changed."""
    return write_tokenizer(tmp_path_factory.mktemp("letters") / "tokenizer")


@pytest.fixture
def rasterize(tmp_path: Path, tokenizer: Path) -> Rasterize:
    """Run the rasterize stage on an inks folder into tmp_path/out."""
    return runner(tmp_path, tokenizer)


@pytest.fixture
def inks(tmp_path: Path) -> Path:
    """Inks of all splits, with labels of letters; enough for six shards."""
    return write_inks(tmp_path / "inks", some_rows())


@pytest.fixture(scope="session")
def training_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small shards, their tokenizer, and a base model to start from. Not to be changed."""
    from tests.support.trainer_data import make_training_data  # it imports torch, which most tests need not wait for

    return make_training_data(tmp_path_factory.mktemp("training"))


@pytest.fixture(scope="session")
def finished_run(training_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Where a training that nothing interrupted left all its files, and its metrics. Not to be changed."""
    from tests.support.trainer_data import train

    folder = tmp_path_factory.mktemp("finished")
    return folder, train(training_data, folder)


@pytest.fixture(scope="session")
def trained_project(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same project with a model that was trained for two steps, its predictions and figures. Not to be changed."""
    root = tmp_path_factory.mktemp("trained")
    shutil.copytree(project, root, dirs_exist_ok=True)
    train_and_judge(root)
    return root


@pytest.fixture(scope="session")
def s3_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """An S3-compatible server: the environment variables by which clients find it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as settings:
        yield settings


@pytest.fixture(scope="module")
def s3(s3_settings: Mapping[str, str]) -> Iterator[str]:
    """URL of an empty bucket on an S3-compatible server, which this process and its children are set to talk to."""
    from joblib.externals.loky import get_reusable_executor
    from s3fs import S3FileSystem

    with pytest.MonkeyPatch.context() as environment:
        for name, value in s3_settings.items():
            environment.setenv(name, value)
        S3FileSystem.clear_instance_cache()  # they remember the server they talked to
        get_reusable_executor().shutdown()  # worker processes of earlier tests do not know this environment
        bucket = f"bucket-{secrets.token_hex(4)}"
        S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}"
        S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def dask_address(
    tmp_path_factory: pytest.TempPathFactory,
    s3_settings: Mapping[str, str],
    starting_ray: Callable[[], str],  # noqa: ARG001  # takes ten seconds, mostly of waiting: do it meanwhile
) -> Iterator[str]:
    """A Dask scheduler with two workers, which know the S3 server."""
    with dask_processes(tmp_path_factory.mktemp("dask"), code=[REPOSITORY] * 2, environment=s3_settings) as processes:
        yield processes.address


@pytest.fixture(scope="session")
def starting_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """A Ray head with two CPUs; call it to wait for its address.

    One that cannot be joined is not what is tested (CI once met such a one, it seems): another is started then.
    """
    with ExitStack() as stack:

        def start() -> Callable[[], str]:
            return stack.enter_context(ray_head(tmp_path_factory.mktemp("ray"), code=REPOSITORY))

        first = start()

        def wait() -> str:
            from latexify.pipeline.engine.ray_cluster import joining_problem

            address = first()
            faults = []
            while fault := joining_problem(address):
                faults.append(fault)
                assert len(faults) < 3, faults
                address = start()()
            return address

        yield wait


@pytest.fixture(scope="session")
def ray_address(starting_ray: Callable[[], str]) -> str:
    """The address of a Ray head."""
    return starting_ray()
