"""Writing an artifact folder so that it is whole or not there, and so that an interrupted run can go on."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location, is_local, store_trouble
from latexify.artifacts.names import MANIFEST_NAME
from latexify.common.errors import LatexifyError

BUILD_KEY_NAME = "recipe.json"
"""In an unfinished folder: what it is being made from. What lies beside another recipe is never used."""

RECORDS_NAME = "notes"
"""In an unfinished folder: a folder for what helps to go on with it, and is no part of the artifact."""

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""Answers of file systems that cannot lock."""


@contextmanager
def draft_of(out: Location, *, recipe: str) -> Iterator[Location]:
    """Yield the folder to write the artifact `out` into; it is `out`, whole, when the block ends.

    recipe: fingerprint of everything that shapes the artifact. The folder holds what an interrupted run of the same
    recipe left, the files of which are whole where they were written with `latexify.artifacts.files`; otherwise it is empty.

    On this machine it is a folder beside `out` that takes its place at the end, and `out` stays untouched until then;
    a lock beside it keeps a second run out. An object store cannot rename folders or lock: there it is `out` itself,
    which is not whole while it lacks a manifest.

    Raises LatexifyError where `out` holds something that no stage wrote, another run is writing it, or its store does
    not answer.
    """
    if is_local(out):
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise LatexifyError(f"{out} cannot be made: {out.parent} is not a folder") from None
        with _sole_writer(out), _draft_beside(out, recipe=recipe) as draft:
            yield draft
    else:
        with store_trouble(out):
            _require_ours(out)
            (out / MANIFEST_NAME).unlink(missing_ok=True)
            _go_on_or_clear(out, recipe=recipe)
            yield out
            if (out / RECORDS_NAME).exists():
                out.fs.rm((out / RECORDS_NAME).path, recursive=True)
            (out / BUILD_KEY_NAME).unlink()


def require_draft(folder: Location, *, recipe: str) -> None:
    """Refuse to write into `folder` unless it is the draft of this recipe: for workers, before they write.

    Raises LatexifyError where it is not to be seen from here, or belongs to another run by now.
    """
    found = _recipe_in(folder)
    if found is None:
        raise LatexifyError(
            f"a worker finds no {BUILD_KEY_NAME} in {folder}: where workers run on other machines, the output must be a "
            "folder that all of them share, or a URL such as s3://…"
        )
    if found != recipe:
        raise LatexifyError(f"{folder} is being written by another run with other inputs or parameters: wait for it")


def keep_only(folder: Location, names: Collection[str]) -> None:
    """Delete every file of a draft but those named: what killed workers left. Recipe and notes go in the end."""
    paths: list[Location] = list(folder.iterdir())
    for path in paths:
        if path.name not in {*names, BUILD_KEY_NAME, RECORDS_NAME}:
            path.unlink(missing_ok=True)


@contextmanager
def _sole_writer(out: Path) -> Iterator[None]:
    """Hold the lock of `out`. It goes with the process that holds it, however that ends."""
    path = out.with_name(f".{out.name}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the run that held the lock may have ended, and deleted the file, after it was opened here
            ours = path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
        except BlockingIOError:
            ours = False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            ours = True  # nothing to hold; two runs of one recipe would still write equal files
        if not ours:
            raise LatexifyError(f"another run is writing {out}: wait until it is done, or stop it")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def _draft_beside(out: Path, *, recipe: str) -> Iterator[Path]:
    _require_ours(out)
    draft, old = (out.with_name(f".{out.name}.{what}") for what in ("draft", "old"))
    if old.exists():
        _take_back(old, draft=draft, out=out)
        shutil.rmtree(old)
    _go_on_or_clear(draft, recipe=recipe)
    yield draft
    # deleting takes long, renaming does not: a run that is killed now has lost nothing, or is done
    old.mkdir()
    for path in (draft / RECORDS_NAME, draft / BUILD_KEY_NAME, out):
        if path.exists():
            path.rename(old / path.name)
    draft.rename(out)
    shutil.rmtree(old)


def _take_back(old: Path, *, draft: Path, out: Path) -> None:
    """Undo the renames of a run that was killed among them, so that what it had made is not made again."""
    if draft.exists():
        for name in (RECORDS_NAME, BUILD_KEY_NAME):
            if (old / name).exists():
                (old / name).rename(draft / name)
    if not out.exists() and (old / out.name).exists():
        (old / out.name).rename(out)


def _require_ours(out: Location) -> None:
    marked = any((out / name).is_file() for name in (MANIFEST_NAME, BUILD_KEY_NAME))
    if out.exists() and not marked and (not out.is_dir() or any(out.iterdir())):
        raise LatexifyError(f"{out} holds something else (it has no {MANIFEST_NAME}): move it away, or choose another")


def _go_on_or_clear(folder: Location, *, recipe: str) -> None:
    """Keep what is there if it was made by the same recipe."""
    if _recipe_in(folder) == recipe:
        return
    if is_local(folder):
        shutil.rmtree(folder, ignore_errors=not folder.exists())
    elif folder.exists():
        folder.fs.rm(folder.path, recursive=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / BUILD_KEY_NAME, {"recipe": recipe})


def _recipe_in(folder: Location) -> str | None:
    try:
        return str(json.loads((folder / BUILD_KEY_NAME).read_text(encoding="utf-8"))["recipe"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
