"""The registry of datasets."""

from pathlib import Path
from typing import get_args

import pytest

from latexify.pipeline.config import CrohmeParams, DatasetName, DatasetParams, InkmlParams
from latexify.pipeline.inputs.splits import AnnotationSplit, FolderSplit, HashSplit, InputSplit
from latexify.pipeline.source.datasets import DATASETS, Context


def test_every_name_in_params_yaml_is_registered() -> None:
    """A name that validation accepts would otherwise fail in the stage."""
    assert set(DATASETS) == set(get_args(DatasetName))


@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_has_a_section_and_terms_of_use(name: DatasetName) -> None:
    """Its parameters must be accepted, and a published model must say what it was trained on."""
    params = DatasetParams(dataset=name)
    assert params.sections == {name: getattr(params, DATASETS[name].section)}
    assert DATASETS[name].origin.title
    assert DATASETS[name].origin.terms


def context(tmp_path: Path) -> Context:
    """A context with a folder for raw data."""
    return Context(seed=3, raw=tmp_path, out=tmp_path / "source", jobs=1)


def test_crohme_holds_out_training_writers_unless_told_not_to(tmp_path: Path) -> None:
    """Validation inks must be of writers that are not trained on."""

    def rules(**params: object) -> list[object]:
        section = CrohmeParams.model_validate(params)
        return [spec.rule for spec in DATASETS["crohme"].list_inputs(section, context(tmp_path)).inputs]

    held_out = HashSplit(of="writer", seed=3, valid_fraction=0.05, test_fraction=0)
    train, valid, test = (InputSplit(split=split) for split in ("train", "valid", "test"))
    assert rules() == [held_out, test]
    assert rules(valid_fraction=0) == [train, test]
    assert rules(valid=["v"]) == [train, valid, test]


@pytest.mark.parametrize(
    ("split_by", "rule"),
    [
        ("annotation", AnnotationSplit(annotation="splitTagOriginal")),
        ("writer", HashSplit(of="writer", seed=3, valid_fraction=0.05, test_fraction=0.1)),
        ("label", HashSplit(of="label", seed=3, valid_fraction=0.05, test_fraction=0.1)),
    ],
)
def test_inkml_is_split_as_params_say(tmp_path: Path, split_by: str, rule: object) -> None:
    """Each value of `split_by` has its own rule."""
    section = InkmlParams.model_validate({"split_by": split_by, "paths": ["a", "s3://bucket/b"]})
    listing = DATASETS["inkml"].list_inputs(section, context(tmp_path))
    assert [spec.rule for spec in listing.inputs] == [rule, rule]
    assert [spec.name for spec in listing.inputs] == ["a", "s3://bucket/b"]
    assert listing.inputs[0].path == tmp_path / "a"


def test_inkml_by_folder_rejects_inks_in_other_folders(tmp_path: Path) -> None:
    """A misspelt folder of the user's own data must be reported, not ignored."""
    listing = DATASETS["inkml"].list_inputs(InkmlParams(split_by="folder"), context(tmp_path))
    rule = listing.inputs[0].rule
    assert isinstance(rule, FolderSplit)
    assert rule.selects("elsewhere/a.inkml")
