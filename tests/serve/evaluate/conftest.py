"""A small project with test inks, shards and models."""

from pathlib import Path

import pytest
import torch

from latexify.artifacts.files import write_json
from latexify.artifacts.names import GEOMETRY_NAME
from latexify.trainer.model.canvas import Geometry
from tests.support import reading_models
from tests.support.reading_models import export_folder, make_loaded
from tests.support.small_project import CANVAS, make_project


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic inks, drawn at 32 x 128 px, with the archive `data/source/test.tar`."""
    root = tmp_path_factory.mktemp("project")
    make_project(root)
    return root


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models with random weights: two kinds, which need pictures of 16 x 64 px."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    return {
        kind: export_folder(make_loaded(kind, folder / "scratch" / kind), folder / kind) for kind in ("hybrid", "vit")
    }


@pytest.fixture(scope="session")
def fitting_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for the canvas of the project's shards."""
    folder = tmp_path_factory.mktemp("fitting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_models, "HEIGHT_PX", CANVAS.height_px)
        patch.setattr(reading_models, "WIDTH_PX", CANVAS.width_px)
        model = export_folder(make_loaded("hybrid", folder / "scratch"), folder / "model")
    geometry = Geometry.from_params(CANVAS.model_dump())
    write_json(model / GEOMETRY_NAME, geometry.to_dict())
    return model
