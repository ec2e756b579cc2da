"""Walk through folders, linked ones as well."""

import os
from collections import deque
from pathlib import Path

from latexify.common.errors import LatexifyError


def walk_files(folder: Path) -> list[str]:
    """List the regular files of a folder at any depth, as sorted relative paths with `/`. Links are followed.

    Every folder is entered once, first those that are no links, so a folder that several links name gives its files
    once. A link to a folder around `folder` is not followed. Raises LatexifyError if a folder cannot be listed.
    """

    def stop(error: OSError) -> None:
        raise LatexifyError(f"{folder} cannot be listed ({error}): check its permissions") from error

    found: list[str] = []
    around = (parent.stat() for parent in folder.resolve().parents)
    entered = {(parent.st_dev, parent.st_ino) for parent in around}
    waiting = deque([folder])
    while waiting:
        for parent, folders, files in os.walk(waiting.popleft(), onerror=stop):
            identity = Path(parent).stat()
            if (identity.st_dev, identity.st_ino) in entered:
                folders.clear()
                continue
            entered.add((identity.st_dev, identity.st_ino))
            found += [
                Path(parent, file).relative_to(folder).as_posix() for file in files if Path(parent, file).is_file()
            ]
            waiting += [Path(parent, name) for name in sorted(folders) if Path(parent, name).is_symlink()]
    return sorted(found)


def is_hidden(name: str) -> bool:
    """Whether a file (its path with `/`) is hidden, or one that macOS adds to archives."""
    folder, _, base = name.rpartition("/")
    return base.startswith(".") or "__MACOSX" in folder.split("/")
