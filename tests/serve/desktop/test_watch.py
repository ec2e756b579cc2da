"""`latexify watch`: a line for each new file, once it is complete."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.serve.desktop.watch import new_files
from tests.support.handwriting import encoded, ink, inkml

PNG = encoded(255 - 255 * ink())


def acting(*actions: Callable[[], object]) -> Callable[[], None]:
    """Do one thing at a time while the watcher waits; fail if it waits for more."""
    remaining: Iterator[Callable[[], object]] = iter([*actions, lambda: None])

    def wait() -> None:
        action = next(remaining, None)
        assert action is not None, "nothing new was found"
        action()

    return wait


def test_a_file_is_given_once_it_is_complete(tmp_path: Path) -> None:
    """A screenshot program writes in pieces; what was there before is not read."""
    (tmp_path / "old.png").write_bytes(PNG)
    new = tmp_path / "new.png"
    wait = acting(
        lambda: new.write_bytes(PNG[:100]),
        lambda: new.write_bytes(PNG[:500]),
        lambda: new.write_bytes(PNG),
        lambda: None,
        (tmp_path / "sub").mkdir,
        lambda: (tmp_path / "sub" / "ink.inkml").write_bytes(inkml()),
    )
    assert list(islice(new_files(tmp_path, wait=wait), 2)) == [new, tmp_path / "sub" / "ink.inkml"]


def test_other_files_are_left_alone_and_changed_ones_are_given_again(tmp_path: Path) -> None:
    """Notes lie in the same folder, and editors write hidden files."""
    picture = tmp_path / "a.png"
    wait = acting(
        lambda: (tmp_path / "notes.txt").write_text("x"),
        lambda: (tmp_path / ".hidden.png").write_bytes(PNG),
        (tmp_path / "empty.png").touch,
        lambda: picture.write_bytes(PNG),
        lambda: None,
        lambda: picture.write_bytes(PNG + b"more"),
    )
    assert list(islice(new_files(tmp_path, wait=wait), 2)) == [picture, picture]


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    """A misspelt name must not wait for ever."""
    with pytest.raises(LatexifyError, match="nosuch is no folder"):
        next(new_files(tmp_path / "nosuch"))
