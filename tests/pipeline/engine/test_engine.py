"""Engines of one machine, and what is refused before a cluster is asked."""

import os
import socket
import sys
import time
from collections.abc import Iterator

import pytest
from joblib import delayed

from latexify.common.errors import LatexifyError
from latexify.pipeline.engine import dask_cluster, ray_cluster
from latexify.pipeline.engine.engine import Backend, Call, Engine, open_engine
from tests.support.cluster_processes import free_port

LOCAL: list[Backend] = ["sequential", "threading", "loky"]


def slow_when_even(number: int) -> int:
    """Even numbers come late."""
    time.sleep(0.02 * (number % 2 == 0))
    return number


def end_the_process(_: int) -> None:
    """Die as a worker dies that the kernel kills."""
    os._exit(1)


@pytest.mark.parametrize("backend", LOCAL)
def test_results_are_whole_and_in_order_where_asked(backend: Backend) -> None:
    """Parts of a dataset in the wrong order would be another dataset."""
    engine = Engine(backend=backend, jobs=2)
    calls = [delayed(slow_when_even)(number) for number in range(12)]
    assert list(engine.run(calls, in_order=True)) == list(range(12))
    assert sorted(engine.run(calls, in_order=False)) == list(range(12))


@pytest.mark.parametrize("backend", LOCAL)
def test_calls_are_taken_a_few_at_a_time(backend: Backend) -> None:
    """Each call holds megabytes of InkML: all of them in memory would be the dataset."""
    taken = 0

    def calls() -> Iterator[Call]:
        nonlocal taken
        for number in range(40):
            taken += 1
            yield delayed(slow_when_even)(number)

    results = Engine(backend=backend, jobs=2).run(calls(), in_order=True)
    next(results)
    assert taken < 20
    assert len(list(results)) == 39


def test_a_dying_worker_is_one_line() -> None:
    """The kernel kills a worker for want of memory: the run ends, it neither hangs nor shows a traceback."""
    calls = [delayed(end_the_process)(number) for number in range(4)]
    with pytest.raises(LatexifyError, match=r"a worker process died.*run the same command again"):
        list(Engine(backend="loky", jobs=2).run(calls, in_order=True))


def test_jobs_zero_is_all_of_this_machine() -> None:
    """`--jobs` left out uses what there is."""
    with open_engine("loky", jobs=0) as engine:
        assert engine.jobs == len(os.sched_getaffinity(0))


def test_an_address_without_a_cluster_is_refused() -> None:
    """Somebody who gives an address expects the work there, not on the laptop."""
    with (
        pytest.raises(LatexifyError, match=r"--backend loky runs on this machine"),
        open_engine("loky", jobs=1, address="tcp://127.0.0.1:8786"),
    ):
        pass


@pytest.mark.parametrize(("backend", "how"), [("dask", "dask scheduler"), ("ray", "ray start --head")])
def test_a_cluster_without_an_address_says_how_to_start_one(backend: Backend, how: str) -> None:
    """Who tries `--backend dask` first learns what else is needed."""
    with pytest.raises(LatexifyError, match=rf"needs --address.*{how}"), open_engine(backend, jobs=0):
        pass


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_package_names_the_extra(backend: Backend, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engines are an extra: a plain install lacks them."""
    for name in [name for name in sys.modules if name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"latexify.pipeline.engine.{backend}_cluster", raising=False)
    with (
        pytest.raises(LatexifyError, match=r"pip install -e '\.\[cluster\]'"),
        open_engine(backend, jobs=0, address="127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize(("backend", "scheme"), [("dask", "tcp://"), ("ray", ""), ("ray", "ray://")])
def test_nobody_at_the_address_is_said_soon(backend: Backend, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray by itself would try for a minute and a half, then end the process."""
    monkeypatch.setattr(dask_cluster, "CONNECT_TIMEOUT_S", 1.0)
    address = f"{scheme}127.0.0.1:{free_port()}"
    started_s = time.monotonic()
    with (
        pytest.raises(LatexifyError, match=rf"answers at {address}.*start"),
        open_engine(backend, jobs=0, address=address),
    ):
        pass
    assert time.monotonic() - started_s < 10


def test_a_mute_ray_head_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that is half alive: Ray would end this process, and whoever started it would learn nothing."""
    monkeypatch.setattr(ray_cluster, "JOIN_TIMEOUT_S", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with (
            pytest.raises(LatexifyError, match=rf"^Ray at {address} cannot be joined \(.+\): start `ray start"),
            open_engine("ray", jobs=0, address=address),
        ):
            pass


def test_an_address_that_is_none_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error in the address is no traceback."""
    monkeypatch.setattr(dask_cluster, "CONNECT_TIMEOUT_S", 1.0)
    cases: list[tuple[Backend, str]] = [("dask", "nonsense://x"), ("dask", "localhost"), ("ray", "localhost")]
    for backend, address in cases:
        with pytest.raises(LatexifyError, match=address), open_engine(backend, jobs=0, address=address):
            pass
