"""Drafts: write an artifact folder so that it appears whole or not at all, and an interrupted run can continue."""

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

BUILD_KEY_NAME = "recipe.json"  # in an unfinished folder, with its build key; a folder with another one is never reused
RECORDS_NAME = "notes"  # folder in an unfinished folder for what helps to continue it; not part of the artifact
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}  # file systems that do not support locks


@contextmanager
def draft_of(out: Location, *, build_key: str) -> Iterator[Location]:
    """Yield the folder to write the artifact `out` into; when the block ends, it becomes `out`.

    The folder holds what an interrupted run with the same `build_key` (hash of everything that shapes the artifact)
    left, otherwise it is empty. Files in it are whole if they were written with `latexify.artifacts.files`. On this
    machine it is a folder beside `out`, which stays untouched until the end; a lock keeps a second run out. Object
    stores can neither rename folders nor lock: there it is `out` itself, which is unfinished as long as it has no
    manifest. Raises LatexifyError if `out` holds something that no stage wrote, another run is writing it, or its store
    does not answer.
    """
    if is_local(out):
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise LatexifyError(f"{out} cannot be made: {out.parent} is not a folder") from None
        with sole_writer(out), _draft_beside(out, build_key=build_key) as draft:
            yield draft
    else:
        with store_trouble(out):
            _require_ours(out)
            (out / MANIFEST_NAME).unlink(missing_ok=True)
            _clear_unless(out, build_key=build_key)
            yield out
            if (out / RECORDS_NAME).exists():
                out.fs.rm((out / RECORDS_NAME).path, recursive=True)
            (out / BUILD_KEY_NAME).unlink()


def require_draft(folder: Location, *, build_key: str) -> None:
    """Check that `folder` is the draft with this build key; workers call it before they write.

    Raises LatexifyError if it cannot be read from here, or belongs to another run by now.
    """
    key_there = _build_key_in(folder)
    if key_there is None:
        raise LatexifyError(
            f"a worker finds no {BUILD_KEY_NAME} in {folder}: if workers run on other machines, the output must be a "
            "folder that all of them share, or a URL such as s3://…"
        )
    if key_there != build_key:
        raise LatexifyError(f"{folder} is being written by another run with other inputs or parameters: wait for it")


def keep_only(folder: Location, names: Collection[str]) -> None:
    """Delete every file of a draft that is not named, such as leftovers of killed workers; keep its key and records."""
    paths: list[Location] = list(folder.iterdir())
    for path in paths:
        if path.name not in {*names, BUILD_KEY_NAME, RECORDS_NAME}:
            path.unlink(missing_ok=True)


@contextmanager
def sole_writer(out: Path) -> Iterator[None]:
    """Hold the lock of the folder `out`. The system releases it when the process ends, however that happens.

    Raises LatexifyError if another process holds it. The folder that `out` is in must exist.
    """
    path = out.with_name(f".{out.name}.lock")
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # the run that held the lock may have ended, and deleted the file, after this process opened it
            ours = path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
        except BlockingIOError:
            ours = False
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            ours = True  # no locks here; two runs with the same build key would write equal files anyway
        if not ours:
            raise LatexifyError(f"another run is writing {out}: wait until it is done, or stop it")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_being_written(out: Path) -> bool:
    """Whether a process holds the lock of :func:`sole_writer`; False where the file system has no locks."""
    try:
        with out.with_name(f".{out.name}.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return False


@contextmanager
def _draft_beside(out: Path, *, build_key: str) -> Iterator[Path]:
    _require_ours(out)
    draft, old = (out.with_name(f".{out.name}.{suffix}") for suffix in ("draft", "old"))
    if old.exists():
        _undo_renames(old, draft=draft, out=out)
        shutil.rmtree(old)
    _clear_unless(draft, build_key=build_key)
    yield draft
    # rename first, because deleting takes long: a run that is killed here has lost nothing, or is done
    old.mkdir()
    for path in (draft / RECORDS_NAME, draft / BUILD_KEY_NAME, out):
        if path.exists():
            path.rename(old / path.name)
    draft.rename(out)
    shutil.rmtree(old)


def _undo_renames(old: Path, *, draft: Path, out: Path) -> None:
    """Undo the renames of a run that was killed between them, so that its work is not repeated."""
    if draft.exists():
        for name in (RECORDS_NAME, BUILD_KEY_NAME):
            if (old / name).exists():
                (old / name).rename(draft / name)
    if not out.exists() and (old / out.name).exists():
        (old / out.name).rename(out)


def _require_ours(out: Location) -> None:
    marked = any((out / name).is_file() for name in (MANIFEST_NAME, BUILD_KEY_NAME))
    if out.exists() and not marked and (not out.is_dir() or any(out.iterdir())):
        raise LatexifyError(
            f"{out} holds something else (it has no {MANIFEST_NAME}): move it away, or choose another folder"
        )


def _clear_unless(folder: Location, *, build_key: str) -> None:
    """Empty the folder unless it has this build key."""
    if _build_key_in(folder) == build_key:
        return
    if is_local(folder):
        shutil.rmtree(folder, ignore_errors=not folder.exists())
    elif folder.exists():
        folder.fs.rm(folder.path, recursive=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / BUILD_KEY_NAME, {"recipe": build_key})


def _build_key_in(folder: Location) -> str | None:
    try:
        return str(json.loads((folder / BUILD_KEY_NAME).read_text(encoding="utf-8"))["recipe"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
