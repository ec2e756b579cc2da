"""`latexify serve --workers 2`: the answers of one, processes that end, signals to all, and what metrics count."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from latexify.artifacts.manifest import read_manifest, write_manifest
from latexify.artifacts.names import MODEL
from latexify.serve.recognizer import Recognizer
from tests.support.handwriting import strokes
from tests.support.http_service import STROKES
from tests.support.service_process import Service, service

pytestmark = pytest.mark.slow
NUM_ITEMS = 16


def metrics(url: str) -> dict[str, float]:
    """All samples, by name and labels."""
    families = text_string_to_metric_families(httpx2.get(f"{url}/metrics", timeout=30).text)
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


def wait_until(condition: Callable[[], bool]) -> None:
    """For at most 60 seconds."""
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def model_process(running: Service) -> psutil.Process:
    """The process of the second model."""
    children = psutil.Process(running.process.pid).children()
    (found,) = [child for child in children if any("spawn_main" in word for word in child.cmdline())]
    return found


@contextmanager
def two_models(model: Path) -> Iterator[Service]:
    """A service of two models that are loaded."""
    with service(model, "--workers", "2") as running:
        wait_until(lambda: metrics(running.url)["latexify_models_ready"] == 2)
        yield running


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[Service]:
    """A service of two models that several tests share."""
    with two_models(model) as running:
        yield running


@contextmanager
def held_by(process: psutil.Process, running: Service) -> Iterator[list[dict[str, Any]]]:
    """A list of pictures, of which a stopped process has some and the other model has read the others.

    At the end of the block the results are there.
    """
    before = metrics(running.url).get("latexify_model_pictures_total 1", 0)
    results: list[dict[str, Any]] = []
    process.suspend()
    asking = threading.Thread(target=lambda: results.extend(post(running, [STROKES] * NUM_ITEMS).json()["results"]))
    asking.start()

    def is_half_read() -> bool:
        seen = metrics(running.url)
        return (
            seen["latexify_items_in_progress"] == NUM_ITEMS
            and seen["latexify_queue_length"] == 0
            and seen.get("latexify_model_pictures_total 1", 0) > before
        )

    wait_until(is_half_read)
    time.sleep(0.5)
    assert is_half_read()
    yield results
    asking.join()


def post(running: Service, content: Any, **options: int) -> httpx2.Response:
    """Ask for the recognition of JSON."""
    return httpx2.post(f"{running.url}/recognize", json=content, params=options, timeout=120)


def test_two_models_answer_as_one(running: Service, model: Path) -> None:
    """Both read, each answer is that of its picture, and metrics and probes count both."""
    recognizer = Recognizer(model, device="cpu")
    pictures = [recognizer.draw([stroke * [1 + n / 10, 1] for stroke in strokes()]) for n in range(8)]
    expected = [answer.to_answer(is_calibrated=False) for answer in recognizer.read(pictures, num_beams=2)]

    def ask(number: int) -> Any:
        content = {"strokes": [(stroke * [1 + number % 8 / 10, 1]).tolist() for stroke in strokes()]}
        return post(running, content, beams=2).json()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(64)))
    for number, answer in enumerate(answers):
        assert answer["latex"] == expected[number % 8]["latex"]
        assert answer["confidence"] == pytest.approx(expected[number % 8]["confidence"], abs=1e-3)
    seen = metrics(running.url)
    read = [seen[f"latexify_model_pictures_total {name}"] for name in "12"]
    assert min(read) > 0
    assert sum(read) == seen["latexify_batch_size_sum"] == 64
    assert seen["latexify_model_process_cpu_seconds_total 2"] > 0
    assert seen["latexify_model_process_resident_memory_bytes 2"] > 10_000_000
    for path, status in (("health", "alive"), ("ready", "ready")):
        assert httpx2.get(f"{running.url}/{path}").json() == {"status": status, "models": 2}


def test_a_killed_process_is_replaced(running: Service) -> None:
    """What it was reading gets 503; everything else is answered, and soon there are two models again."""
    first = model_process(running)
    with held_by(first, running) as results:
        first.kill()
    lost = [result for result in results if "error" in result]
    assert 0 < len(lost) < NUM_ITEMS
    assert {(result["status"], result["error"]) for result in lost} == {
        (503, "the model ended while it read this: try again in a second")
    }
    assert running.process.stderr is not None
    line = running.process.stderr.readline()
    assert line == "latexify: model process 2: it was ended by SIGKILL; it is started again in 1 s\n"
    wait_until(lambda: metrics(running.url)["latexify_models_ready"] == 2)
    second = model_process(running)
    assert second.pid != first.pid
    second.kill()  # while it has nothing to do: nobody notices
    assert [post(running, STROKES).status_code for _ in range(10)] == [200] * 10
    wait_until(lambda: metrics(running.url)["latexify_models_ready"] == 2)
    assert metrics(running.url)["latexify_model_process_ends_total"] == 2


def test_sigterm_to_all_processes_finishes_the_requests(model: Path) -> None:
    """As systemd and terminals send it: the model processes must answer first. None is left at the end."""
    with two_models(model) as running:
        processes = psutil.Process(running.process.pid).children(recursive=True)
        process = model_process(running)
        with held_by(process, running) as results:
            for number in (signal.SIGINT, signal.SIGTERM):
                process.send_signal(number)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            process.resume()
        assert running.process.wait(timeout=30) == 0
        assert [result.get("error") for result in results] == [None] * NUM_ITEMS
        assert not psutil.wait_procs(processes, timeout=10)[1]


def test_no_model_process_outlives_the_service(model: Path) -> None:
    """A service that is killed cannot end its processes: they see it."""
    with two_models(model) as running:
        process = model_process(running)
        running.process.kill()
        running.process.wait()
        process.wait(timeout=30)


def test_another_model_in_the_folder_is_not_mixed_in(model: Path, tmp_path: Path) -> None:
    """A process that is started again after a training must not answer by the new model beside the old one."""
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    with two_models(folder) as running:
        write_manifest(folder, replace(read_manifest(folder, MODEL), inputs={"tokenizer": "another"}))
        model_process(running).kill()
        assert running.process.stderr is not None
        lines = iter(running.process.stderr.readline, "")
        assert any("is another one now: start the service again" in line for line in lines)
        assert post(running, STROKES).status_code == 200
        assert httpx2.get(f"{running.url}/ready").json()["models"] == 1
