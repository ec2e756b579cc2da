"""Writing an artifact folder so that it is whole or not there, and so that an interrupted run can go on."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import LatexifyError
from shards.files import write_json
from shards.manifest import MANIFEST_NAME
from shards.place import Place, is_local

RECIPE_NAME = "recipe.json"
"""In an unfinished folder: what it is being made from. What lies beside another recipe is never used."""


@contextmanager
def draft_of(out: Place, *, recipe: str) -> Iterator[Place]:
    """Yield the folder to write the artifact `out` into; it is `out`, whole, when the block ends.

    recipe: fingerprint of everything that shapes the artifact. The folder holds what an interrupted run of the same
    recipe left, the files of which are whole where they were written with `shards.files`; otherwise it is empty.

    On this machine it is a folder beside `out` that takes its place at the end, and `out` stays untouched until then.
    An object store cannot rename folders: there it is `out` itself, which is not whole while it lacks a manifest.

    Raises LatexifyError where `out` holds something that no stage wrote.
    """
    if is_local(out):
        with _draft_beside(out, recipe=recipe) as draft:
            yield draft
    else:
        _require_ours(out)
        (out / MANIFEST_NAME).unlink(missing_ok=True)
        _go_on_or_clear(out, recipe=recipe)
        yield out
        (out / RECIPE_NAME).unlink()


@contextmanager
def _draft_beside(out: Path, *, recipe: str) -> Iterator[Path]:
    _require_ours(out)
    draft = out.with_name(f".{out.name}.draft")
    _go_on_or_clear(draft, recipe=recipe)
    yield draft
    if out.exists():
        shutil.rmtree(out)
    draft.rename(out)
    (out / RECIPE_NAME).unlink()


def _require_ours(out: Place) -> None:
    marked = any((out / name).is_file() for name in (MANIFEST_NAME, RECIPE_NAME))
    if out.exists() and not marked and (not out.is_dir() or any(out.iterdir())):
        raise LatexifyError(f"{out} holds something else (it has no {MANIFEST_NAME}): move it away, or choose another")


def _go_on_or_clear(folder: Place, *, recipe: str) -> None:
    """Keep what is there if it was made by the same recipe."""
    if _recipe_in(folder) == recipe:
        return
    if is_local(folder):
        shutil.rmtree(folder, ignore_errors=not folder.exists())
    elif folder.exists():
        folder.fs.rm(folder.path, recursive=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RECIPE_NAME, {"recipe": recipe})


def _recipe_in(folder: Place) -> str | None:
    try:
        return str(json.loads((folder / RECIPE_NAME).read_text(encoding="utf-8"))["recipe"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
