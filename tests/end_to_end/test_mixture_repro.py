"""Inks and pictures in one training through DVC: what a changed weight runs, and equal bytes for any number of jobs."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.support.dvc_project import MINIATURE, Project
from tests.support.mixture_data import NUM_INPUTS, write_mixture

TRAINING = {"max_steps": 3, "warmup_steps": 1, "validate_steps": 3, "validate_samples": 4, "checkpoint_steps": 3}
DATASETS = [{"name": "images", "weight": 0.5}, {"name": "crohme", "weight": 2}]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Project:
    """Inks of CROHME's form and pictures, from nothing to report."""
    project = Project(tmp_path_factory.mktemp("project"), repository)
    write_mixture(project.folder / "data/raw")
    _set_up(project)
    project.dvc("repro")
    return project


def _set_up(project: Project) -> None:
    project.set_top("dataset", None)
    project.set_top("datasets", DATASETS)
    project.set(
        {
            **MINIATURE,
            "crohme": {"train": ["crohme/train"], "valid": ["crohme/valid"], "test": ["crohme/test"]},
            "images": {"paths": ["mine"], "labels": ["mine/labels.csv"], "split_by": "column"},
            "ingest": {"max_reject_fraction": 0.5},
            "model": {"base": "scratch"},
        }
    )
    project.set({"train": {**TRAINING, "freeze": [], "global_batch": 4, "micro_batch": 4}})


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_figures_and_report_are_of_each_dataset(project: Project) -> None:
    """One figure for inks and pictures together hides that a model reads only one of them."""
    figures = json.loads((project.folder / "metrics/score.json").read_text(encoding="utf-8"))
    assert {name: rates["num_samples"] for name, rates in figures["datasets"].items()} == {"crohme": 4, "images": 2}
    assert {"value", "low", "high"} <= set(figures["datasets"]["images"]["exact_match"])
    ingested = json.loads((project.folder / "metrics/ingest.json").read_text(encoding="utf-8"))
    assert {name: counts["inputs"] for name, counts in ingested["datasets"].items()} == {
        name: NUM_INPUTS[name] for name in ("crohme", "images")
    }
    assert "Error rate by dataset" in (project.folder / "data/report/report.html").read_text(encoding="utf-8")
    shown = project.dvc("metrics", "show")
    assert "datasets.images.cer.value" in shown


@pytest.mark.slow
def test_a_weight_trains_again_and_a_section_reads_again(project: Project) -> None:
    """A changed weight must not read and draw all inks; a changed section of a dataset in use must."""
    before = (project.folder / "params.yaml").read_text(encoding="utf-8")
    try:
        project.dvc("repro", "inputs")
        assert project.stages_to_run() == []
        project.set_top("datasets", [*DATASETS[1:], *DATASETS[:1]])
        project.dvc("repro", "inputs")
        assert project.stages_to_run() == []
        project.set_top("datasets", [{"name": "images", "weight": 3}, {"name": "crohme", "weight": 2}])
        project.dvc("repro", "inputs")
        assert project.stages_to_run()[0] == "train"
        project.set({"inkml": {"valid_fraction": 0.2}})
        project.dvc("repro", "inputs")
        assert project.stages_to_run()[0] == "train"
        project.set({"images": {"trace": False}})
        project.dvc("repro", "inputs")
        assert project.stages_to_run()[0] == "source"
    finally:
        (project.folder / "params.yaml").write_text(before, encoding="utf-8")
        project.dvc("repro", "inputs")


@pytest.mark.slow
def test_one_job_makes_the_same_bytes(project: Project) -> None:
    """The mixture must not depend on the machine."""
    before = {name: _digests(project.folder / "data" / name) for name in ("inks", "shards")}
    dvc = (project.folder / "dvc.yaml").read_text(encoding="utf-8")
    text = dvc.replace("cmd: latexify ingest", "cmd: latexify ingest --jobs 1")
    text = text.replace("cmd: latexify rasterize", "cmd: latexify rasterize --jobs 1")
    (project.folder / "dvc.yaml").write_text(text, encoding="utf-8")
    project.dvc("repro", "--single-item", "--force", "ingest")
    project.dvc("repro", "--single-item", "--force", "rasterize")
    assert {name: _digests(project.folder / "data" / name) for name in ("inks", "shards")} == before


@pytest.mark.slow
def test_a_contradiction_is_one_line(project: Project) -> None:
    """Whoever adds `datasets` and leaves `dataset` must learn which of the two counts."""
    before = (project.folder / "params.yaml").read_text(encoding="utf-8")
    try:
        project.set_top("dataset", "inkml")
        failed = project.dvc("repro", code=1)
    finally:
        (project.folder / "params.yaml").write_text(before, encoding="utf-8")
    assert "set dataset to null, or datasets to []" in failed
    assert "Traceback" not in failed
