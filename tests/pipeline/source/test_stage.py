"""Stage source: the plan, its fingerprint, and errors for missing data."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import SOURCE
from latexify.common.errors import LatexifyError
from latexify.common.section import Section
from latexify.pipeline.config import CrohmeParams, DatasetName, InkmlParams, MathWritingParams, SyntheticParams
from latexify.pipeline.inputs.inputs import SourcePlan, resolve_input
from latexify.pipeline.source import datasets
from latexify.pipeline.source import stage as source
from tests.support.repository import REPOSITORY

INK = b"<ink><annotation type='truth'>x</annotation><trace>1 2</trace></ink>"


def put(folder: Path, *names: str, content: bytes = INK) -> None:
    """Write files into a folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def pack(path: Path, folder: Path) -> None:
    """Make a tar of the folder's files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, arcname=".")


def run(section: Section, dataset: DatasetName, at: Path, *, seed: int = 1) -> Manifest:
    """Run the stage with `at/raw` and `at/source`, and read what it wrote."""
    source.run(section, dataset=dataset, seed=seed, raw=at / "raw", out=at / "source", jobs=1)
    return read_manifest(at / "source", SOURCE)


def plan_of(manifest: Manifest) -> SourcePlan:
    """Return the plan for ingest."""
    return SourcePlan.from_content(manifest.content, where=Path("here"))


def test_crohme_lists_what_the_user_names(tmp_path: Path) -> None:
    """Folder or archive, each with its own split; validation carved by writer only where none is named."""
    put(tmp_path / "raw/train", "a.inkml", "sub/b.inkml", "readme.txt")
    put(tmp_path / "t", "test/c.inkml")
    pack(tmp_path / "raw/test.tgz", tmp_path / "t")
    carved = plan_of(run(CrohmeParams(train=["train"], test=["test.tgz"]), "crohme", tmp_path))
    assert [(item.name, item.kind, item.num_inputs, item.key_prefix) for item in carved.inputs] == [
        ("train", "folder", 2, ""),
        ("test.tgz", "archive", 1, ""),
    ]
    assert [item.rule.by for item in carved.inputs] == ["hash", "input"]
    assert carved.label_annotations == ["truth"]
    put(tmp_path / "raw/valid", "d.inkml")
    named = plan_of(run(CrohmeParams(train=["train"], valid=["valid"], test=["test.tgz"]), "crohme", tmp_path))
    assert [item.rule.model_dump() for item in named.inputs] == [
        {"by": "input", "split": split} for split in ("train", "valid", "test")
    ]


def test_inputs_are_found_after_the_project_has_moved(tmp_path: Path) -> None:
    """Absolute paths would tie the DVC cache, and everything made from it, to one machine."""
    put(tmp_path / "one/raw/inkml", "a.inkml")
    before = run(InkmlParams(), "inkml", tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    (item,) = plan_of(before).inputs
    assert item.path == "../raw/inkml"
    assert resolve_input(item, base=tmp_path / "two/source") == (tmp_path / "two/raw/inkml").resolve()
    assert run(InkmlParams(), "inkml", tmp_path / "two") == before


def test_keys_of_several_inputs_cannot_collide(tmp_path: Path) -> None:
    """CROHME repeats file names across folders with different contents."""
    put(tmp_path / "raw/a", "x.inkml")
    put(tmp_path / "raw/b", "x.inkml", "y.inkml")
    put(tmp_path / "raw/c/b", "x.inkml")
    put(tmp_path / "raw/d", "x/y.inkml")

    def prefixes(*paths: str) -> list[str]:
        plan = plan_of(run(InkmlParams(paths=list(paths)), "inkml", tmp_path))
        return [item.key_prefix for item in plan.inputs]

    assert prefixes("b", "d") == ["", ""]
    assert prefixes("a", "b") == ["a/", "b/"]
    assert prefixes("a", "b", "c/b") == ["a/", "b-2/", "b-3/"]


@pytest.mark.parametrize("change", ["content", "name", "more"])
def test_changed_files_change_the_fingerprint(tmp_path: Path, change: str) -> None:
    """Otherwise DVC would keep what was made from the old files. File times and copies do not count."""
    raw = tmp_path / "raw/inkml"
    put(raw, "a.inkml", "b.inkml")
    before = run(InkmlParams(), "inkml", tmp_path)
    shutil.copytree(raw, tmp_path / "copy")
    shutil.rmtree(raw)
    (tmp_path / "copy").rename(raw)
    put(raw, "notes.txt")
    assert run(InkmlParams(), "inkml", tmp_path).fingerprint == before.fingerprint
    if change == "content":
        put(raw, "a.inkml", content=INK.replace(b"1", b"3"))
    elif change == "name":
        (raw / "a.inkml").rename(raw / "c.inkml")
    else:
        put(raw, "c.inkml")
    assert run(InkmlParams(), "inkml", tmp_path).fingerprint != before.fingerprint


def test_seed_counts_where_it_decides(tmp_path: Path) -> None:
    """Another seed must not invalidate everything if the dataset does not use it."""
    put(tmp_path / "raw/inkml", "train/a.inkml")
    for section, matters in ((InkmlParams(split_by="folder"), False), (InkmlParams(split_by="label"), True)):
        one, two = (run(section, "inkml", tmp_path, seed=seed) for seed in (1, 2))
        assert (one.fingerprint != two.fingerprint) is matters


def test_user_annotations_and_rules_are_passed_on(tmp_path: Path) -> None:
    """Any InkML can be read if the user names its label annotations."""
    put(tmp_path / "raw/inkml", "a.inkml")
    section = InkmlParams(
        label_annotations=["l"], writer_annotations=["w"], split_by="annotation", split_annotation="s"
    )
    plan = plan_of(run(section, "inkml", tmp_path))
    assert (plan.label_annotations, plan.writer_annotations) == (["l"], ["w"])
    assert plan.inputs[0].rule.model_dump() == {"by": "annotation", "annotation": "s"}


def test_synthetic_is_generated_into_the_source_folder(tmp_path: Path) -> None:
    """The built-in dataset needs no download, and is written where DVC tracks it."""
    section = SyntheticParams(num_train=4, num_valid=2, num_test=2, num_writers=3)
    plan = plan_of(run(section, "synthetic", tmp_path))
    assert [(item.path, item.num_inputs) for item in plan.inputs] == [
        ("train.tar", 4),
        ("valid.tar", 2),
        ("test.tar", 2),
    ]


def test_mathwriting_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive goes to `raw` under its published name, and its published folders are its splits."""
    fetched: list[Any] = []

    def fetch(url: str, *, to: Path, num_bytes: int) -> None:
        fetched.append((url, num_bytes))
        put(tmp_path / "mw", "mathwriting-2024-excerpt/train/0a.inkml", "mathwriting-2024-excerpt/symbols/0b.inkml")
        pack(to, tmp_path / "mw")

    monkeypatch.setattr(datasets, "fetch", fetch)
    plan = plan_of(run(MathWritingParams(), "mathwriting-excerpt", tmp_path))
    assert fetched == [("https://storage.googleapis.com/mathwriting_data/mathwriting-2024-excerpt.tgz", 1_620_634)]
    assert [(item.path, item.num_inputs) for item in plan.inputs] == [("../raw/mathwriting-2024-excerpt.tgz", 1)]
    assert plan.label_annotations == ["normalizedLabel", "label"]
    more = MathWritingParams(archive="mathwriting-2024-excerpt.tgz", train_folders=["train", "symbols"])
    assert plan_of(run(more, "mathwriting", tmp_path)).inputs[0].num_inputs == 2
    assert len(fetched) == 1


def test_missing_and_useless_inputs_are_named(tmp_path: Path) -> None:
    """Each mistake with paths gets a sentence that names the path."""
    put(tmp_path / "raw", "empty/readme.txt", "broken.tgz", "a/x.inkml")
    cases: list[tuple[Section, DatasetName, str]] = [
        (InkmlParams(paths=["nowhere"]), "inkml", "nowhere does not exist"),
        (InkmlParams(paths=["empty"]), "inkml", "empty holds no InkML"),
        (InkmlParams(paths=["broken.tgz"]), "inkml", "broken.tgz cannot be read as a tar or zip"),
        (InkmlParams(paths=["a", "empty/../a"]), "inkml", "named twice"),
        (MathWritingParams(archive="no.tgz"), "mathwriting", "no.tgz does not exist"),
        (MathWritingParams(archive="a"), "mathwriting", "holds no InkML"),
    ]
    for section, dataset, message in cases:
        with pytest.raises(LatexifyError, match=message):
            run(section, dataset, tmp_path)
        assert not (tmp_path / "source/manifest.json").exists()


def test_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    """An old source folder must be made again, not misread."""
    put(tmp_path / "raw/inkml", "a.inkml")
    content = json.loads(json.dumps(run(InkmlParams(), "inkml", tmp_path).content))
    del content["inputs"][0]["rule"]
    with pytest.raises(LatexifyError, match="run `latexify source` again"):
        SourcePlan.from_content(content, where=tmp_path)


def test_of_two_runs_at_once_the_second_is_refused_in_one_line(tmp_path: Path) -> None:
    """Both would write the same archives: the slower one ended with a traceback about a temporary file."""
    (tmp_path / "params.yaml").write_text("synthetic: {num_train: 3000}\n", encoding="utf-8")
    command = [sys.executable, "-m", "latexify", "source", "--jobs", "1"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as first:
        deadline_s = time.monotonic() + 60
        while not (tmp_path / "data/.source.lock").exists():
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert first.poll() is None, "the first must still be running"
        assert second.returncode == 1
        assert second.stderr == "latexify: another run is writing data/source: wait until it is done, or stop it\n"
        first.communicate(timeout=120)
    assert first.returncode == 0
    assert not (tmp_path / "data/.source.lock").exists()
    assert read_manifest(tmp_path / "data/source", SOURCE)
