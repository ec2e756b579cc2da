"""Fixtures that several test files share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_processes import dask_processes, ray_head, s3_server

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data (see docs/development.md); the test is skipped where it is not at hand."""
    folder = os.environ.get("LATEXIFY_REAL_DATA")
    if not folder:
        pytest.skip("LATEXIFY_REAL_DATA is not set: no real inks here")
    path = Path(folder)
    assert path.is_dir(), f"LATEXIFY_REAL_DATA={folder} is not a folder"
    return path


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of an empty bucket on an S3-compatible server, which this process and its children are set to talk to."""
    import fsspec

    with s3_server(tmp_path_factory.mktemp("s3")) as settings, pytest.MonkeyPatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        fsspec.filesystem("s3").mkdir("bucket")
        yield "s3://bucket"


@pytest.fixture(scope="session")
def dask_address(
    tmp_path_factory: pytest.TempPathFactory,
    s3: str,  # noqa: ARG001  # workers take its settings from the environment
    starting_ray: Callable[[], str],  # noqa: ARG001  # takes ten seconds, mostly of waiting: do it meanwhile
) -> Iterator[str]:
    """A Dask scheduler with two workers, which know the S3 server."""
    with dask_processes(tmp_path_factory.mktemp("dask"), code=[REPOSITORY] * 2) as processes:
        yield processes.address


@pytest.fixture(scope="session")
def starting_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """A Ray head with two CPUs; call it to wait for its address."""
    with ray_head(tmp_path_factory.mktemp("ray"), code=REPOSITORY) as wait:
        yield wait


@pytest.fixture(scope="session")
def ray_address(starting_ray: Callable[[], str]) -> str:
    """The address of a Ray head."""
    return starting_ray()
