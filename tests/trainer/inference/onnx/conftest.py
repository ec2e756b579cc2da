"""A small model and its export."""

from pathlib import Path

import pytest
import torch

from latexify.trainer.inference.onnx.export import export_onnx
from tests.support.reading_models import export_folder, make_loaded


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the shape of the presets for CPUs, with batch norms."""
    torch.set_num_threads(1)
    scratch = tmp_path_factory.mktemp("hybrid")
    return export_folder(make_loaded("hybrid", scratch), scratch / "model")


@pytest.fixture(scope="session")
def exported(model: Path) -> Path:
    """The model, exported into a folder of its own."""
    return export_onnx(model, out=model.parent / "onnx").folder
