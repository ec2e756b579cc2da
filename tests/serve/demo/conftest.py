"""Fixtures of the demo's tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from latexify.serve.demo.inference import SharedRecognizer
from latexify.serve.demo.state import DemoSettings, shared_recognizer
from tests.support.reading_models import export_folder, make_loaded


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


@pytest.fixture(scope="module")
def settings(model: Path) -> DemoSettings:
    """Settings of a demo without inks."""
    return DemoSettings(model=model, device="cpu", runtime=None, threads=1, inks=str(model / "no-inks"))


@pytest.fixture(scope="module")
def shared(settings: DemoSettings) -> SharedRecognizer:
    """The loaded model."""
    return shared_recognizer(settings)


@pytest.fixture(autouse=True)
def _own_main() -> Iterator[None]:
    """Restore the main module, which Streamlit replaces when it runs the page.

    Child processes of later tests would otherwise run the page as their main module.
    """
    with pytest.MonkeyPatch.context() as modules:
        modules.setitem(sys.modules, "__main__", sys.modules["__main__"])
        yield
