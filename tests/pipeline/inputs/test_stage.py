"""The stage that notes what others read from outside DVC."""

import json
from pathlib import Path
from typing import Any

import pytest

from latexify.params import Params
from latexify.pipeline.inputs import stage


class Project:
    """A folder with raw data, and what the stage notes about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw = folder / "raw"
        self.raw.mkdir()

    def write(self, name: str, content: str) -> None:
        """Write a raw file."""
        (self.raw / name).parent.mkdir(parents=True, exist_ok=True)
        (self.raw / name).write_text(content, encoding="utf-8")

    def note(self, **sections: Any) -> dict[str, Any]:
        """Run the stage; returns the content of its files by name."""
        params = Params.model_validate({"model": {"base": "scratch"}, **sections})
        out = self.folder / "inputs"
        stage.run(
            params,
            composed=params.composed,
            base=params.model.base,
            tokenizer=params.vocab.tokenizer,
            raw=self.raw,
            out=out,
            cache=self.folder / "hashes.json",
        )
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(out.iterdir())}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty one."""
    return Project(tmp_path)


CROHME = {"dataset": "crohme", "crohme": {"train": ["a.tar"], "test": ["deep"]}}


def test_only_what_the_dataset_names_counts(project: Project) -> None:
    """Other raw files and the sections of other datasets change nothing; each named file does."""
    project.write("a.tar", "a")
    project.write("deep/b.inkml", "b")
    first = project.note(**CROHME)
    project.write("notes.txt", "of something else")
    assert project.note(**CROHME, synthetic={"num_train": 5}) == first
    assert project.note(**CROHME, composed={"formulas": ["notes.txt"]}) == first, "nothing is composed"
    project.write("deep/b.inkml", "c")
    second = project.note(**CROHME)
    assert second["source"]["files"]["deep"] != first["source"]["files"]["deep"]
    project.write("a.tar", "d")
    assert project.note(**CROHME)["source"]["files"]["a.tar"] != first["source"]["files"]["a.tar"]
    assert project.note(**{**CROHME, "seed": 2}) != project.note(**CROHME)


def test_files_of_composed_inks_count_where_there_are_any(project: Project) -> None:
    """A list of formulas that changed composes other inks."""
    project.write("formulas.txt", "x")
    sections = {"composed": {"num_inks": 3, "formulas": ["formulas.txt"]}}
    first = project.note(**sections)
    project.write("formulas.txt", "y")
    assert project.note(**sections)["source"] != first["source"]


@pytest.mark.parametrize(
    ("sections", "files"),
    [
        ({"dataset": "synthetic"}, []),
        ({"dataset": "mathwriting"}, []),
        ({"dataset": "mathwriting-excerpt", "mathwriting": {"archive": "m.tgz"}}, ["m.tgz"]),
        ({"dataset": "inkml", "inkml": {"paths": ["b", "a"]}}, ["a", "b"]),
    ],
)
def test_each_dataset_names_its_files(project: Project, sections: dict[str, Any], files: list[str]) -> None:
    """An archive that is downloaded is known by its size, so that downloading it does not run `source` again."""
    for name in files:
        project.write(name, name)
    noted = project.note(**sections)["source"]["files"]
    assert list(noted) == files
    assert None not in noted.values()


def test_what_is_gone_keeps_its_version_and_is_named(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """Who lacks the raw data can still train on the shards; who never had it is told so by `source`."""
    assert project.note(**CROHME)["source"]["files"] == {"a.tar": None, "deep": None}
    assert "unchanged" not in capsys.readouterr().err
    project.write("a.tar", "a")
    project.write("deep/b.inkml", "b")
    noted = project.note(**CROHME)
    (project.raw / "a.tar").unlink()
    assert project.note(**CROHME) == noted
    assert f"{project.raw / 'a.tar'} is not here: taken as unchanged" in capsys.readouterr().err


def test_a_hash_is_made_again_only_where_something_changed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """MathWriting has 3 GB, and the stage runs on every `dvc repro`."""
    project.write("a.tar", "a")
    project.write("deep/b.inkml", "b")
    first = project.note(**CROHME)

    def fail(*_: object) -> str:
        raise AssertionError("hashed again")

    with monkeypatch.context() as patch:
        patch.setattr("latexify.pipeline.inputs.raw_files._md5", fail)
        assert project.note(**CROHME) == first
    (project.folder / "hashes.json").write_text("no JSON", encoding="utf-8")
    assert project.note(**CROHME) == first


def test_a_base_outside_models_is_noted_by_content(project: Project) -> None:
    """Other weights in the same folder left a stale model behind; the tokenizer too, where it is the base's."""
    project.write("base/model.safetensors", "weights")
    sections = {"model": {"base": str(project.raw / "base")}, "train": {"freeze": []}}
    first = project.note(**sections)
    assert first["vocab"] == {}
    assert project.note(**sections, vocab={"tokenizer": "base"})["vocab"] == first["train"]
    project.write("base/model.safetensors", "others")
    second = project.note(**sections, vocab={"tokenizer": "base"})
    assert second["vocab"] == second["train"] != first["train"]
    assert second["train"]["version"]


def test_a_commit_of_the_hub_that_moves_is_noted(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name on the Hub may mean another model tomorrow; without network it means what it meant."""
    sections = {"model": {"base": "microsoft/trocr-base"}, "train": {"freeze": []}}

    def commits(name: str) -> None:
        monkeypatch.setattr(
            "huggingface_hub.hf_hub_download", lambda repo, file: f"/cache/{repo}/snapshots/{name}/{file}"
        )

    commits("aaa")
    assert project.note(**sections)["train"] == {"base": "microsoft/trocr-base", "version": "aaa"}
    commits("bbb")
    assert project.note(**sections)["train"]["version"] == "bbb"
    monkeypatch.undo()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert project.note(**sections)["train"]["version"] == "bbb"
    noted = capsys.readouterr().err
    assert "the commit of microsoft/trocr-base on the Hub is not known" in noted
    assert len(noted.splitlines()) == 1
    assert project.note(**{**sections, "model": {"base": "microsoft/other"}})["train"]["version"] is None


MIXED: dict[str, Any] = {
    "datasets": [{"name": "images", "weight": 0.5}, {"name": "crohme"}],
    "crohme": {"train": ["a.tar"], "test": ["deep"]},
    "images": {"paths": ["pictures"]},
}


def test_of_several_datasets_all_that_they_name_counts(project: Project) -> None:
    """A change in one of them must run `source`; other sections, and the order of the names, must not."""
    for name in ("a.tar", "deep/b.inkml", "pictures/c.png", "mine/d.inkml"):
        project.write(name, name)
    first = project.note(**MIXED)
    assert first["source"]["datasets"] == ["crohme", "images"]
    assert list(first["source"]["files"]) == ["a.tar", "deep", "pictures"]
    assert {"crohme", "images"} <= set(first["source"])
    turned = {**MIXED, "datasets": MIXED["datasets"][::-1], "inkml": {"paths": ["mine"]}}
    assert project.note(**turned) == first
    project.write("pictures/c.png", "another")
    assert project.note(**MIXED)["source"] != first["source"]


def test_a_weight_counts_for_the_training_only(project: Project) -> None:
    """A changed weight must not read and draw all inks again."""
    first = project.note(**MIXED)
    assert first["train"]["weights"] == {"crohme": 1.0, "images": 0.5}
    heavier = {**MIXED, "datasets": [{"name": "images", "weight": 2}, {"name": "crohme"}]}
    second = project.note(**heavier)
    assert second["train"] != first["train"]
    assert (second["source"], second["vocab"]) == (first["source"], first["vocab"])
    assert "weights" not in project.note(**CROHME)["train"]
