"""Watch a folder for new pictures and inks."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from latexify.common.errors import LatexifyError
from latexify.pipeline.inputs.walk import is_hidden, walk_files
from latexify.serve.files import is_taken

INTERVAL_S = 0.5

State = tuple[int, int]
"""Size and time of the last change of a file, by which a new one is known, and one that is still being written."""


def _sleep() -> None:
    time.sleep(INTERVAL_S)


def new_files(folder: Path, *, wait: Callable[[], None] = _sleep) -> Iterator[Path]:
    """Return the files of kinds that are recognised as they appear in a folder or change, at any depth, without end.

    A file is returned once it has not changed between two looks, `wait` apart. Files that were there at the call
    are not: the folder is looked at before this returns, so no file is missed that is saved afterwards.

    Raises:
        LatexifyError: If the folder is missing or cannot be listed.
    """
    if not folder.is_dir():
        raise LatexifyError(f"{folder} is no folder: make it first, or name another")
    return _changed_files(folder, _states(folder), wait)


def _changed_files(folder: Path, known: dict[Path, State], wait: Callable[[], None]) -> Iterator[Path]:
    seen_last = dict(known)
    while True:
        wait()
        states = _states(folder)
        for path, state in sorted(states.items()):
            if known.get(path) != state and seen_last.get(path) == state:
                known[path] = state
                if is_taken(path):
                    yield path
        known = {path: state for path, state in known.items() if path in states}
        seen_last = states


def _states(folder: Path) -> dict[Path, State]:
    states = {}
    for name in walk_files(folder):
        if is_hidden(name):
            continue
        try:
            status = (folder / name).stat()
        except FileNotFoundError:
            continue  # it was removed in this moment
        if status.st_size:
            states[folder / name] = (status.st_size, status.st_mtime_ns)
    return states
