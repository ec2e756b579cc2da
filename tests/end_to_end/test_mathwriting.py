"""The recipe that trains the shipped model further on MathWriting, on an archive in its published layout."""

import json
from pathlib import Path

import pytest

from benchmarks.mathwriting.archive import Material, write_archive
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
from latexify.cli.recipe import write_recipe
from latexify.common.package_data import RECIPES, default_model
from latexify.params import load_params
from latexify.pipeline.config import ComposedParams, CrohmeParams
from latexify.pipeline.engine.engine import Engine
from latexify.trainer.inference.open import open_model
from latexify.trainer.model.canvas import Geometry, read_geometry
from tests.support.composing_data import write_dataset
from tests.support.dvc_project import Project

COUNTS = {"train": 40, "valid": 8, "test": 6, "symbols": 5, "synthetic": 20}
RECIPE = "mathwriting-small"
TRAINING = {"max_steps": 3, "warmup_steps": 1, "validate_steps": 3, "validate_samples": 4, "checkpoint_steps": 3}
SMALL: dict[str, dict[str, object]] = {
    "mathwriting": {"archive": "mathwriting-2024.tgz"},
    "train": {**TRAINING, "global_batch": 8, "micro_batch": 8},
    "score": {"bootstrap_samples": 100},
}


def test_the_recipe_has_the_canvas_of_the_shipped_model() -> None:
    """On another canvas, the model would have to learn anew what it knows."""
    params = load_params(RECIPES / f"{RECIPE}.yaml")
    assert params.model.base == f"models/{default_model().name}"
    drawn = Geometry.from_params(params.rasterize.model_dump())
    assert drawn == read_geometry(default_model())


@pytest.mark.slow
def test_the_recipe_trains_the_shipped_model_further(tmp_path: Path, repository: Path) -> None:
    """From the archive to the report; no symbol of the shipped model is lost."""
    project = Project(tmp_path / "project", repository)
    raw = tmp_path / "material"
    raw.mkdir()
    write_dataset(raw)
    (raw / "list.txt").write_text("a+b=c\nx^2\n", encoding="utf-8")
    section = CrohmeParams(train=["train"], test=["test"], valid_fraction=0.3)
    material = Material(raw=raw, section=section, composed=ComposedParams(formulas=["list.txt"]))
    archive = project.folder / "data/raw/mathwriting-2024.tgz"
    write_archive(archive, COUNTS, material=material, engine=Engine(backend="sequential"))
    write_recipe(RECIPE, params_path=project.folder / "params.yaml")
    project.set(SMALL)
    project.dvc("repro")
    ingested = json.loads((project.folder / "metrics/ingest.json").read_text(encoding="utf-8"))
    assert ingested["inputs"] == sum(COUNTS.values())
    score = json.loads((project.folder / "metrics/score.json").read_text(encoding="utf-8"))
    assert score["num_samples"] == COUNTS["test"]
    trained = project.folder / "data/model"
    assert read_manifest(trained, MODEL).params["model"]["base"] == "models/crohme-small"
    assert _tokens(default_model()) <= _tokens(trained)
    assert open_model(trained).geometry == read_geometry(default_model())


def _tokens(model: Path) -> set[str]:
    return set(json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
