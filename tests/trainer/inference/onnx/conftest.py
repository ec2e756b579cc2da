"""A small model and its export."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latexify.pipeline.grammar.allowances import Allowances
from latexify.trainer.inference.onnx.export import export_onnx
from tests.support.reading_models import export_folder, make_loaded


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the shape of the presets for CPUs, with batch norms."""
    torch.set_num_threads(1)
    scratch = tmp_path_factory.mktemp("hybrid")
    loaded = replace(make_loaded("hybrid", scratch), allowances=Allowances(names=frozenset({"double scripts"})))
    return export_folder(loaded, scratch / "model")


@pytest.fixture(scope="session")
def exported(model: Path) -> Path:
    """The model, exported into a folder of its own."""
    return export_onnx(model, out=model.parent / "onnx").folder
