"""A model, and a gate in front of it."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from latexify.serve.recognizer import Picture, Recognition, Recognizer
from tests.support.reading_models import export_folder, make_loaded


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The model reads only while the gate is open."""
    gate, read = threading.Event(), Recognizer.read

    def wait_and_read(self: Recognizer, pictures: Sequence[Picture], **options: Any) -> list[Recognition]:
        gate.wait(timeout=10)
        return read(self, pictures, **options)

    gate.set()
    monkeypatch.setattr(Recognizer, "read", wait_and_read)
    yield gate
    gate.set()
