"""The checkpoints in the folder of a run, by their names."""

import re
import zipfile
import zlib
from pathlib import Path

FINISHED_NAME = "finished.json"
"""Where a finished run stands. With the best model it is all that exporting again needs."""


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the file of the checkpoint of this step."""
    return folder / f"step-{step:08d}.pt"


def best_path(folder: Path, step: int) -> Path:
    """Return the file of the weights of the best model, which is that of this step."""
    return folder / f"best-{step:08d}.pt"


def checkpoints_in(folder: Path) -> dict[int, Path]:
    """Return all checkpoints by their steps."""
    return _numbered(folder, "step")


def bests_in(folder: Path) -> dict[int, Path]:
    """Return the weights of all best models by their steps."""
    return _numbered(folder, "best")


def surplus(folder: Path, *, keep: int) -> list[Path]:
    """List checkpoints but for the `keep` latest, at least one, and best models that none of these refers to."""
    checkpoints, bests = checkpoints_in(folder), bests_in(folder)
    older = sorted(checkpoints)[:-keep]
    oldest_kept = min(checkpoints.keys() - older, default=0)
    # the oldest kept checkpoint refers to the last best model before it; no checkpoint refers to earlier ones
    unused = sorted(step for step in bests if step <= oldest_kept)[:-1]
    return [checkpoints[step] for step in older] + [bests[step] for step in unused]


def is_whole(path: Path) -> bool:
    """Whether all checksums in a file of torch are right, and its directory is there."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error):
        return False


def _numbered(folder: Path, kind: str) -> dict[int, Path]:
    matches = ((re.fullmatch(rf"{kind}-(\d+)\.pt", path.name), path) for path in folder.glob(f"{kind}-*.pt"))
    return {int(match[1]): path for match, path in matches if match}
