"""Files appear whole or not at all, and killed processes leave nothing behind."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from latexify.artifacts.files import atomic_file, replacing, write_atomically
from latexify.artifacts.location import location_of


def test_a_file_is_replaced_only_when_the_block_ends(tmp_path: Path) -> None:
    """Readers must see the old file or the new one."""
    path = tmp_path / "new" / "file"
    write_atomically(path, b"old")
    with atomic_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    """A full disk must not cost the file that is there."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_uploads_nothing(tmp_path: Path) -> None:
    """Fsspec would upload the first half of a file."""
    path = location_of(f"memory://{tmp_path.name}/file")

    def interrupted() -> None:
        with atomic_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not path.exists()


def test_temporary_files_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    """They would be pushed with the artifact; those of a running process must stay."""
    done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    host = socket.gethostname()
    dead, alive, elsewhere, other = (
        tmp_path / name
        for name in (
            f".a.{host}.{int(done.stdout)}.tmp",
            f".a.{host}.{os.getppid()}.tmp",
            ".a.else.1.tmp",
            ".b.x.1.tmp",
        )
    )
    for path in (dead, alive, elsewhere, other):
        path.touch()
    write_atomically(tmp_path / "a", b"")
    assert not dead.exists()
    assert all(path.exists() for path in (alive, elsewhere, other))
