"""Drafts: an artifact folder appears whole or not at all, and interrupted runs continue."""

import contextlib
from pathlib import Path

import pytest

from latexify.artifacts.draft import draft_of
from latexify.artifacts.location import Location, location_of
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.common.errors import LatexifyError


def leave_draft(out: Location, *, build_key: str, name: str) -> None:
    """What a run that is interrupted leaves."""

    def interrupted() -> None:
        with draft_of(out, build_key=build_key) as draft:
            (draft / name).touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_draft_replaces_the_folder_only_when_whole(tmp_path: Path) -> None:
    """An interrupted run would otherwise cost the results of the one before."""
    out = tmp_path / "out"
    write_manifest_in(out, "old")
    leave_draft(out, build_key="b", name="half")
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "old"]
    with draft_of(out, build_key="b") as draft:
        (draft / "other half").touch()
    assert sorted(path.name for path in out.iterdir()) == ["half", "other half"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize("killed_at", range(5))
def test_a_run_killed_while_folders_change_places_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    """A moment of a few renames, at the end of hours: what is whole by then must not be made again."""
    out = tmp_path / "out"
    write_manifest_in(out, "old")
    rename, left = Path.rename, iter(range(killed_at + 1))

    def mortal(self: Path, target: Path) -> Path:
        if next(left, killed_at) == killed_at:
            raise KeyboardInterrupt
        return rename(self, target)

    def make() -> list[str]:
        with draft_of(out, build_key="a") as draft:
            found = sorted(path.name for path in draft.iterdir())
            (draft / "notes").mkdir(exist_ok=True)
            (draft / "part").touch()
            write_manifest(draft, Manifest(kind="shards", version=1, params={}, inputs={}))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", mortal)
        with contextlib.suppress(KeyboardInterrupt):
            make()
    done = (out / "part").exists()
    assert "part" in make() or done
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "part"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_draft_of_another_recipe_is_not_used(tmp_path: Path) -> None:
    """Shards of changed parameters would mix with those of the old."""
    out = tmp_path / "out"
    leave_draft(out, build_key="a", name="old half")
    with draft_of(out, build_key="b") as draft:
        (draft / "new").touch()
    assert [path.name for path in out.iterdir()] == ["new"]


def test_draft_in_an_object_store_is_made_in_place(tmp_path: Path) -> None:
    """Object stores cannot rename folders; a killed run must go on there too, and not mix recipes."""
    out = location_of(f"memory://{tmp_path.name}/out")
    leave_draft(out, build_key="a", name="old half")
    leave_draft(out, build_key="b", name="half")
    with draft_of(out, build_key="b") as draft:
        (draft / "other half").touch()
    assert sorted(path.name for path in out.iterdir()) == ["half", "other half"]


def test_draft_spares_folders_that_no_stage_wrote(tmp_path: Path) -> None:
    """A mistyped path must not delete somebody's files."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(LatexifyError, match="holds something else"), draft_of(tmp_path, build_key="a"):
        pass
    assert (tmp_path / "thesis.tex").exists()


def write_manifest_in(folder: Path, name: str) -> None:
    """Make a folder that a stage might have written."""
    folder.mkdir()
    (folder / name).touch()
    write_manifest(folder, Manifest(kind="shards", version=1, params={}, inputs={}))
