"""The whole pipeline through DVC, in a fresh copy of the repository."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.dvc_project import MINIATURE, Project

SHIPPED_CANVAS = {"height_px": 128, "width_px": 1024, "height_step_px": 32, "width_step_px": 64}
"""Of the shipped model."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Project:
    """The pipeline, run once from nothing to report."""
    project = Project(tmp_path_factory.mktemp("project"), repository)
    project.dvc("repro")
    return project


@pytest.mark.slow
def test_repro_ends_with_a_model_figures_and_a_report(project: Project) -> None:
    """The promise of the first screen of the README."""
    data = project.folder / "data"
    assert (data / "model" / "model.safetensors").is_file()
    assert (data / "report" / "report.html").stat().st_size > 10_000
    figures = json.loads((project.folder / "metrics" / "score.json").read_text(encoding="utf-8"))
    assert figures["num_samples"] == MINIATURE["synthetic"]["num_test"]
    ingested = json.loads((project.folder / "metrics" / "ingest.json").read_text(encoding="utf-8"))
    assert ingested["inputs"] == 288


@pytest.mark.slow
def test_second_repro_runs_nothing(project: Project) -> None:
    """Otherwise every look at the results would cost hours of training."""
    assert project.stages_to_run() == []


@pytest.mark.slow
def test_metrics_and_plots_show(project: Project) -> None:
    """`dvc metrics show` and `dvc plots show` are how DVC's users read results."""
    shown = project.dvc("metrics", "show")
    assert "cer" in shown
    assert "failed to load" not in shown, "DVC takes any value named `error` for one"
    project.dvc("plots", "show")
    assert list(project.folder.glob("dvc_plots/index.html"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("section", "values", "first"),
    [
        ("rasterize", {"pen_width_px": 2.5}, "rasterize"),
        ("train", {"learning_rate": 2e-3}, "train"),
        ("predict", {"num_beams": 2}, "predict"),
        ("report", {"num_samples": 3}, "report"),
    ],
)
def test_a_changed_parameter_runs_its_stage_and_what_follows(
    project: Project, section: str, values: dict[str, object], first: str
) -> None:
    """A new pen width must not parse 600,000 files again, and a new learning rate must not draw them again."""
    before = (project.folder / "params.yaml").read_text(encoding="utf-8")
    try:
        project.set({section: values})
        assert project.stages_to_run()[0] == first
    finally:
        (project.folder / "params.yaml").write_text(before, encoding="utf-8")


@pytest.mark.slow
def test_a_named_model_is_evaluated_without_a_training(project: Project, repository: Path, tmp_path: Path) -> None:
    """DVC runs predict for another model, also one outside the project, and again when its files change."""
    before = (project.folder / "params.yaml").read_text(encoding="utf-8")
    outside = tmp_path / "elsewhere" / "theirs"
    shutil.copytree(repository / "models" / "crohme-small", outside)
    figures: list[dict[str, Any]] = []
    try:
        project.set({"rasterize": SHIPPED_CANVAS})
        project.dvc("repro")
        for model in ("models/crohme-small", str(outside)):
            project.set({"predict": {"model": model}})
            assert project.stages_to_run() == ["predict", "report"]  # score, too, once its inputs have changed
            project.dvc("repro", "report")
            assert project.stages_to_run() == []
            figures.append(json.loads((project.folder / "metrics" / "score.json").read_text(encoding="utf-8")))
        (outside / "calibration.json").unlink()
        assert project.stages_to_run()[0] == "predict"
        project.set({"predict": {"model": "data/model"}})
        assert project.stages_to_run()[0] == "predict"
    finally:
        (project.folder / "params.yaml").write_text(before, encoding="utf-8")
        project.dvc("repro")
    assert figures[0] == figures[1]
    own = json.loads((project.folder / "metrics" / "score.json").read_text(encoding="utf-8"))
    assert own["cer"] != figures[0]["cer"]


@pytest.mark.slow
def test_another_base_in_the_same_place_trains_again(project: Project, repository: Path, tmp_path: Path) -> None:
    """DVC served the model of the old weights where `model.base` lies outside of `models/`."""
    before = (project.folder / "params.yaml").read_text(encoding="utf-8")
    base = tmp_path / "mine"
    shutil.copytree(repository / "models" / "crohme-small", base)
    try:
        for tokenizer, first in (("base", "vocab"), ("latex", "train")):
            project.set({"model": {"base": str(base)}, "vocab": {"tokenizer": tokenizer}})
            project.dvc("repro", "inputs")
            project.dvc("commit", "--force")  # as if all had run
            assert project.stages_to_run() == []
            (base / "config.json").write_text(f"{tokenizer}", encoding="utf-8")
            project.dvc("repro", "inputs")
            assert project.stages_to_run()[0] == first
    finally:
        (project.folder / "params.yaml").write_text(before, encoding="utf-8")
        project.dvc("repro", "inputs")
        project.dvc("commit", "--force")


@pytest.mark.slow
def test_test_inks_alone_are_evaluated_by_dvc(repository: Path, tmp_path: Path) -> None:
    """Without training inks there is a report on another model, and one line where `train` is run."""
    project = Project(tmp_path, repository)
    inks = project.folder / "data" / "raw" / "mine" / "test"
    inks.mkdir(parents=True)
    for number, label in enumerate(("x", "x+y", "2")):
        ink = f'<ink><annotation type="truth">{label}</annotation><trace>0 0, 9 {number}, 5 20</trace></ink>'
        (inks / f"{number}.inkml").write_text(ink, encoding="utf-8")
    project.set({"crohme": {"train": [], "test": ["mine/test"]}, "predict": {"model": "models/crohme-small"}})
    project.set({"rasterize": SHIPPED_CANVAS})
    project.set_top("dataset", "crohme")
    project.dvc("repro", "report")
    assert json.loads((project.folder / "metrics/score.json").read_text(encoding="utf-8"))["num_samples"] == 3
    failed = project.dvc("repro", "train", code=1)
    assert "has no training samples, so there is nothing to learn from" in failed
    assert "Traceback" not in failed


@pytest.mark.slow
def test_experiments_change_one_parameter(project: Project) -> None:
    """`dvc exp run -S` is the documented way to try a setting."""
    project.dvc("exp", "run", "-S", "score.bootstrap_samples=200")
    assert "200" in (project.folder / "params.yaml").read_text(encoding="utf-8")
    listed = project.dvc("exp", "show", "--csv")
    assert "cer" in listed
