"""Folders are walked whole, linked ones as well, and every file once."""

from pathlib import Path

import pytest

from latexify.pipeline.inputs.walk import is_hidden, walk_files


def put(folder: Path, *names: str) -> Path:
    """Write empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_linked_folders_are_entered(tmp_path: Path) -> None:
    """A dataset put together from links was silently empty."""
    put(tmp_path / "elsewhere", "b.inkml", "deep/c.inkml")
    inks = put(tmp_path / "inks", "a.inkml")
    (inks / "more").symlink_to(tmp_path / "elsewhere")
    (inks / "z.inkml").symlink_to(inks / "a.inkml")
    (inks / "gone").symlink_to(tmp_path / "nowhere")
    assert walk_files(inks) == ["a.inkml", "more/b.inkml", "more/deep/c.inkml", "z.inkml"]


def test_circles_end_and_every_folder_counts_once(tmp_path: Path) -> None:
    """Two links to one folder would double its inks; a link to a folder around it would never end."""
    inks = put(tmp_path / "inks", "b/one.inkml", "b/c/two.inkml")
    (inks / "b" / "up").symlink_to(inks)
    (inks / "a").symlink_to(inks / "b")
    (inks / "self").symlink_to(inks / "self")
    assert walk_files(inks) == ["b/c/two.inkml", "b/one.inkml"]


@pytest.mark.parametrize(
    ("name", "expected"), [("a/b.png", False), ("a/.b.png", True), ("__MACOSX/b.png", True), (".a/b.png", False)]
)
def test_hidden_files(name: str, expected: bool) -> None:  # noqa: FBT001  # a table
    """What macOS adds to archives is no ink."""
    assert is_hidden(name) is expected
