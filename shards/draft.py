"""Writing a folder so that nobody ever sees half of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import LatexifyError
from shards.manifest import MANIFEST_NAME


@contextmanager
def draft_of(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside `out` that takes its place when the block ends, and is removed when it raises.

    What `out` holds stays untouched until then. Raises LatexifyError where `out` holds something that no stage wrote.
    """
    if out.exists() and not (out / MANIFEST_NAME).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise LatexifyError(f"{out} holds something else (it has no {MANIFEST_NAME}): move it away, or choose another")
    draft = out.with_name(f".{out.name}.draft")
    if draft.exists():
        shutil.rmtree(draft)  # left by a run that was killed
    draft.mkdir(parents=True)
    try:
        yield draft
        if out.exists():
            shutil.rmtree(out)
        draft.rename(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
