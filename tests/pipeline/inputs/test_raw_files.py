"""Hashes of raw files are those that DVC makes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from latexify.artifacts.location import location_of
from latexify.pipeline.inputs.raw_files import ContentHashes, recorded_by_dvc


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project without git, with a file and a folder that DVC tracks."""
    dvc = Path(sys.executable).parent / "dvc"
    (tmp_path / "raw" / "deep" / "er").mkdir(parents=True)
    for name in ("a.tar", "deep/b.inkml", "deep/er/c.inkml", "deep/er-c.inkml", "deep/ä.inkml"):
        (tmp_path / "raw" / name).write_text(name, encoding="utf-8")
    for command in (["init", "--no-scm"], ["add", "raw/a.tar", "raw/deep"]):
        subprocess.run([dvc, *command, "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def recorded(project: Path, name: str) -> str:
    """The hash in a file that `dvc add` wrote."""
    pointer = YAML(typ="safe", pure=True).load((project / "raw" / f"{name}.dvc").read_text(encoding="utf-8"))
    return str(pointer["outs"][0]["md5"])


@pytest.mark.parametrize("name", ["a.tar", "deep"])
def test_a_hash_is_that_of_dvc(project: Path, name: str) -> None:
    """A clone without the data must come to the same file as one with it."""
    hashes = ContentHashes(project / "cache.json")
    assert hashes.of(project / "raw" / name) == recorded(project, name) == recorded_by_dvc(project / "raw" / name)
    (project / "raw" / name).rename(project / "elsewhere")
    assert hashes.of(project / "raw" / name) == recorded(project, name)


def test_a_file_in_a_tracked_folder_is_known(project: Path) -> None:
    """The archives of CROHME may be added as one folder."""
    path = project / "raw" / "deep" / "er" / "c.inkml"
    known = ContentHashes(project / "cache.json").of(path)
    assert known is not None
    path.rename(project / "elsewhere")
    assert recorded_by_dvc(path) == known


def test_nothing_is_known_of_what_nobody_tracks(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Inside a DVC project and outside of any."""
    assert recorded_by_dvc(project / "raw" / "none" / "x.tar") is None
    assert recorded_by_dvc(tmp_path_factory.mktemp("outside") / "x.tar") is None


def test_what_dvc_puts_into_a_folder_does_not_count(project: Path) -> None:
    """`dvc add` of single files of a folder changes nothing that is read."""
    before = ContentHashes(project / "cache.json").of(project / "raw")
    (project / "raw" / "new.dvc").write_text("outs: []", encoding="utf-8")
    (project / "raw" / "deep" / ".gitignore").write_text("b.inkml", encoding="utf-8")
    assert ContentHashes(project / "cache.json").of(project / "raw") == before


def test_a_cache_of_other_content_is_made_again(project: Path) -> None:
    """The cache is only for speed."""
    cache = project / "cache.json"
    cache.write_text(json.dumps([1]), encoding="utf-8")
    hashes = ContentHashes(cache)
    assert hashes.of(project / "raw" / "a.tar") == recorded(project, "a.tar")
    hashes.save()
    assert list(json.loads(cache.read_text(encoding="utf-8"))) == [str(project / "raw" / "a.tar")]


def test_an_object_store_is_asked_for_its_checksums(project: Path) -> None:
    """`raw: s3://…` works with DVC, too: what is in the store is not downloaded to be compared."""
    store = location_of("memory://raw-files")
    hashes = ContentHashes(project / "cache.json")
    assert hashes.of(store / "a.tar") is None
    (store / "a.tar").write_bytes(b"a")
    (store / "b.tar").write_bytes(b"bb")
    first = hashes.of(store)
    (store / "a.tar").write_bytes(b"aaa")
    assert hashes.of(store) != first
    assert hashes.of(store / "b.tar") == hashes.of(store / "b.tar")
