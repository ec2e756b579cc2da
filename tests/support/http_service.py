"""The HTTP service in this process."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from latexify.serve.http.app import make_app
from latexify.serve.http.worker import ServiceSettings
from tests.support.handwriting import strokes

STROKES = {"strokes": [stroke.tolist() for stroke in strokes()]}


def make_service(model: Path, **options: Any) -> FastAPI:
    """The service; a model that cannot be loaded fails the test."""

    def fail(error: BaseException) -> None:
        raise AssertionError(error)

    return make_app(ServiceSettings(model=model, device="cpu", **options), on_failure=fail)


def wait_until(condition: Callable[[], bool]) -> None:
    """For at most ten seconds."""
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def metric(client: TestClient, name: str, **labels: str) -> float:
    """A value from /metrics; 0 if it was not counted yet."""
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return 0
