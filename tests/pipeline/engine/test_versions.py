"""Versions tell apart machines whose shards would differ, and nothing else."""

import shutil
from pathlib import Path

import pytest

from latexify.pipeline.engine import versions


@pytest.fixture
def clone(repository: Path, tmp_path: Path) -> Path:
    """A copy of the package as it lies in a clone, with links to the folders at the top level."""
    keep = shutil.ignore_patterns("__pycache__", "*.gz", "*.xz", "models", "static")
    for name in ("pipeline", "shards"):
        shutil.copytree(repository / name, tmp_path / "clone" / name, ignore=keep)
    shutil.copytree(repository / "latexify", tmp_path / "clone" / "latexify", symlinks=True, ignore=keep)
    return tmp_path / "clone" / "latexify"


def test_a_clone_and_an_installed_package_have_the_same_hash(clone: Path, tmp_path: Path) -> None:
    """Otherwise a cluster whose workers have the wheel could not serve a main process in a clone."""
    installed = tmp_path / "site-packages" / "latexify"
    for name in ("artifacts", "common", "fast", "pipeline", "shards"):
        shutil.copytree(clone / name, installed / name)
    assert (clone / "pipeline").is_symlink()
    assert not (installed / "pipeline").is_symlink()
    assert versions._hash_of_code(installed) == versions._hash_of_code(clone)


@pytest.mark.parametrize("module", ["pipeline/drawing/draw.py", "shards/format/tar.py", "fast/cairo_path.py"])
def test_changed_code_has_another_hash(clone: Path, module: str) -> None:
    """Shards drawn by two versions of the code must not be mixed."""
    before = versions._hash_of_code(clone)
    path = clone / module
    path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    assert versions._hash_of_code(clone) != before


def test_the_trainer_does_not_count(clone: Path) -> None:
    """An interrupted rasterize continues after an edit of the trainer."""
    before = versions._hash_of_code(clone)
    (clone / "cli" / "new.py").write_text("x = 1\n", encoding="utf-8")
    assert versions._hash_of_code(clone) == before


def test_versions_that_differ_are_named() -> None:
    """Who has to make two machines alike needs to know in what they differ."""
    here = versions.versions()
    assert versions.differences(here, here) == []
    there = {**here, "cairo": "1.0"}
    del there["numpy"]
    assert versions.differences(here, there) == [
        f"cairo 1.0 (here {here['cairo']})",
        f"numpy missing (here {here['numpy']})",
    ]
