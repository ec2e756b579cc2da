"""Stages on real clusters: a Dask scheduler with workers, and a Ray head, in processes of their own."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from joblib import delayed
from upath import UPath

from latexify.common.errors import LatexifyError
from latexify.pipeline.engine.engine import Engine, open_engine
from tests.support.cluster_calls import end_the_process, refuse, slow, stamped
from tests.support.cluster_processes import DaskProcesses, dask_processes, runs
from tests.support.small_project import bytes_of, run_ingest, run_rasterize


@pytest.fixture(scope="module", params=["dask", "ray"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine on each kind of cluster."""
    address = request.getfixturevalue(f"{request.param}_address")
    with open_engine(request.param, jobs=0, address=address) as engine:
        yield engine


def test_results_stream_from_a_cluster(cluster: Engine) -> None:
    """All results, in order where asked; the calls, megabytes each, are made a few at a time."""
    taken = 0

    def calls() -> Iterator[Any]:
        nonlocal taken
        for number in range(30):
            taken += 1
            yield delayed(stamped)(number, np.full(100_000, number, dtype=np.int64))

    results = cluster.run(calls(), in_order=True)
    assert next(results) == (0, 0)
    assert taken < 20
    assert list(results) == [(number, number * 100_000) for number in range(1, 30)]
    assert sorted(cluster.run(calls(), in_order=False)) == [(number, number * 100_000) for number in range(30)]
    assert list(cluster.run([], in_order=False)) == []


def test_an_error_on_a_worker_is_the_tasks_own(cluster: Engine) -> None:
    """The line that says which ink is wrong must not drown in a remote traceback."""
    with pytest.raises(LatexifyError, match=r"^ink 3 is the culprit: mend it$"):
        list(cluster.run([delayed(refuse)(number) for number in range(8)], in_order=False))


def test_a_cluster_writes_the_same_bytes(cluster: Engine, project: Path, tmp_path: Path) -> None:
    """A dataset must not depend on where it was made."""
    run_ingest(project / "data", out=tmp_path / "inks", engine=cluster)
    assert bytes_of(tmp_path / "inks") == bytes_of(project / "data" / "inks")
    run_rasterize(project / "data", out=tmp_path / "shards", engine=cluster)
    assert bytes_of(tmp_path / "shards") == bytes_of(project / "data" / "shards")


def test_a_folder_that_workers_do_not_see_is_refused(cluster: Engine) -> None:
    """Each worker's own disk would hold a piece of the dataset, and the end would be "file not found"."""
    with pytest.raises(LatexifyError, match=r"workers must read and write memory://here.*all machines share"):
        cluster.check_shared_path(UPath("memory://here/shards"))


def test_the_command_line_runs_on_dask(dask_address: str, project: Path, repository: Path, tmp_path: Path) -> None:
    """What docs/guide/scale.md shows: the same command with --backend and --address, and the same bytes."""
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "data" / "shards")
    command = [sys.executable, "-m", "latexify", "rasterize", "--backend", "dask", "--address", dask_address]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **runs(repository)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    assert bytes_of(tmp_path / "data" / "shards") == bytes_of(project / "data" / "shards")


Start = Callable[..., DaskProcesses]


@pytest.fixture
def start_dask(tmp_path: Path, repository: Path) -> Iterator[Start]:
    """Start a scheduler and workers of the test's own, to break them."""
    with ExitStack() as stack:

        def start(*code: Path, **environment: str) -> DaskProcesses:
            return stack.enter_context(dask_processes(tmp_path, code=code or [repository] * 2, environment=environment))

        yield start


def test_work_of_a_dead_dask_worker_is_done_by_another(start_dask: Start) -> None:
    """With hundreds of machines one always dies; then the scheduler: one line that says what to do."""
    processes = start_dask()
    calls = [delayed(slow)(number, np.zeros(100_000)) for number in range(24)]
    with open_engine("dask", jobs=0, address=processes.address) as engine:
        results = engine.run(calls, in_order=False)
        first = next(results)
        processes.workers[0].send_signal(signal.SIGKILL)
        assert sorted([first, *results]) == list(range(24))
        results = engine.run(calls, in_order=False)
        next(results)
        processes.scheduler.send_signal(signal.SIGKILL)
        with pytest.raises(LatexifyError, match=r"connection to the Dask scheduler .* was lost.*continues"):
            list(results)


def test_a_task_that_ends_its_workers_is_given_up(start_dask: Start) -> None:
    """The backend that comes with joblib waits for ever here."""
    processes = start_dask(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0")
    with (
        open_engine("dask", jobs=0, address=processes.address) as engine,
        pytest.raises(LatexifyError, match=r"workers died at the same task"),
    ):
        list(engine.run([delayed(end_the_process)(0)], in_order=True))


def test_workers_with_other_code_are_refused(start_dask: Start, repository: Path, tmp_path: Path) -> None:
    """Half of the shards drawn by last month's code would never be found out."""
    other, none = tmp_path / "other", tmp_path / "none"
    unneeded = shutil.ignore_patterns("__pycache__", "eval", "models", "serve", "trainer")
    shutil.copytree(repository / "latexify", other / "latexify", ignore=unneeded)
    (none / "latexify").mkdir(parents=True)
    absent = "raise ModuleNotFoundError(\"No module named 'latexify'\")\n"
    (none / "latexify" / "__init__.py").write_text(absent, encoding="utf-8")
    with (other / "latexify" / "pipeline" / "drawing" / "draw.py").open("a", encoding="utf-8") as file:
        file.write("# drawn otherwise\n")
    processes = start_dask(repository, other, none)
    with (
        pytest.raises(LatexifyError, match=r"install the same latexify") as caught,
        open_engine("dask", jobs=0, address=processes.address),
    ):
        pass
    message = str(caught.value)
    assert message.count("worker tcp://") == 2
    assert "latexify " in message
    assert "cannot run latexify" in message
    assert "\n" not in message
