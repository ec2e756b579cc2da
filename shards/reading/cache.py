"""Cache of remote shards on this machine.

Samples are read in random order, and from an object store each would cost a round trip. But a window of the epoch plan
touches few shards and uses all their samples, so whole shards are fetched, about a thousand samples per request. A copy
is named by its hash, so it serves any folder, run, rank and process, and is never outdated.
"""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path
from upath import UPath

from latexify.artifacts.files import replacing
from latexify.artifacts.location import store_trouble
from latexify.artifacts.names import SHARDS
from latexify.common.errors import LatexifyError, one_line

FOLDER_VARIABLE = "LATEXIFY_CACHE"
LIMIT_VARIABLE = "LATEXIFY_CACHE_GIB"
_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.5
_ABANDONED_S = 24 * 3600.0  # age after which an unfinished copy is taken for that of a killed process


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardCache:
    """A folder of copies of at most `limit_bytes` (or one larger shard); the least recently opened are removed first.

    Any number of processes and threads of one machine may use it at once: one of them fetches each shard, and an open
    copy stays readable after it is removed. The limit should hold the shards of a window, `train.shuffle_window` ÷
    `rasterize.samples_per_shard` + 1; otherwise they are fetched again and again.
    """

    folder: Path
    limit_bytes: int

    @classmethod
    def from_environment(cls) -> "ShardCache":
        """Return the cache in `LATEXIFY_CACHE` (default: the platform's folder), `LATEXIFY_CACHE_GIB` (32) large."""
        folder = os.environ.get(FOLDER_VARIABLE)
        text = os.environ.get(LIMIT_VARIABLE, "32")
        try:
            limit_gib = float(text)
        except ValueError:
            limit_gib = 0.0
        if not 0 < limit_gib < 2**33:
            raise LatexifyError(f"{LIMIT_VARIABLE}={text} is not a number of GiB: set one such as 32")
        path = Path(folder) if folder else user_cache_path("latexify") / "shards"
        return cls(folder=path, limit_bytes=int(limit_gib * 2**30))

    def open(self, source: UPath, *, num_bytes: int, sha256: str) -> int:
        """Open a shard for reading from its copy, which is made if there is none; return a file descriptor.

        Raises LatexifyError if the shard cannot be fetched, differs from the manifest's size and hash, or cannot be
        kept.
        """
        kept = self.folder / f"{sha256}.tar"
        if (file := _open_kept(kept, num_bytes=num_bytes)) is not None:
            return file
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f"{sha256[:2]}.lock"):
                file = _open_kept(kept, num_bytes=num_bytes)
                if file is None:  # no other process fetched it meanwhile
                    self._make_room(num_bytes)
                    file = _fetch(source, kept, sha256=sha256)
        except OSError as error:
            problem = f"{source} cannot be kept in {self.folder} ({error})"
            raise LatexifyError(f"{problem}: set {FOLDER_VARIABLE} to a folder with room") from None
        return file

    def _make_room(self, num_bytes: int) -> None:
        """Remove the least recently opened copies until `num_bytes` fit, and unfinished copies of killed processes."""
        now = time.time()
        copies = []
        for entry in os.scandir(self.folder):
            try:
                facts = entry.stat()
            except FileNotFoundError:  # removed by another process
                continue
            if entry.name.endswith(".tar"):
                copies.append((facts.st_mtime_ns, facts.st_size, entry.name))
            elif entry.name.endswith(".tmp") and now - facts.st_mtime > _ABANDONED_S:
                (self.folder / entry.name).unlink(missing_ok=True)
        excess = sum(size for _, size, _ in copies) + num_bytes - self.limit_bytes
        for _, size, name in sorted(copies):
            if excess <= 0:
                return
            (self.folder / name).unlink(missing_ok=True)
            excess -= size


def _open_kept(kept: Path, *, num_bytes: int) -> int | None:
    """Open a copy and mark it as used; return None if there is none or it is incomplete, as after a power failure."""
    try:
        file = os.open(kept, os.O_RDONLY)
    except FileNotFoundError:
        return None
    if os.fstat(file).st_size != num_bytes:
        os.close(file)
        return None
    os.utime(file)
    return file


def _fetch(source: UPath, kept: Path, *, sha256: str) -> int:
    """Download a shard, give the copy its name and return a file descriptor; try again if the network cut it off."""
    # a new object, because a file system object made before a fork cannot be used after it
    source = UPath(str(source), **source.storage_options)
    with replacing(kept) as temporary:
        for attempt in range(_ATTEMPTS):
            problem = _try_to_copy(source, temporary, sha256=sha256)
            if problem is None:
                return os.open(temporary, os.O_RDONLY)  # before other processes can see, and remove, the copy
            if attempt < _ATTEMPTS - 1:
                time.sleep(_FIRST_PAUSE_S * 2**attempt)
        remedy = f"fix the connection, or run `{SHARDS.producer}` again"
        raise LatexifyError(f"{source} cannot be fetched ({problem}): {remedy}")


def _try_to_copy(source: UPath, target: Path, *, sha256: str) -> str | None:
    """Copy `source`; return in one line what is wrong with it or the network, or None.

    Raises OSError if this machine's disk fails, and LatexifyError if another try would fail, too.
    """
    try:
        with store_trouble(source):
            source.fs.get_file(source.path, str(target))
    except LatexifyError as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError):
            raise
        return one_line(f"{type(error.__cause__).__name__}: {error.__cause__}")
    with target.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    return None if actual == sha256 else f"its SHA-256 is {actual}, in the manifest {sha256}"
