"""Copies of remote shards on this machine, kept while they are useful.

Samples are read in a random order, which object stores answer with a round trip each. But a window of the epoch plan
touches few shards, and uses all their samples; so whole shards are fetched, one request for about a thousand samples. A
copy is named by its hash, so that it serves any folder, run, rank and loader process, and is never an outdated shard.
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
DEFAULT_LIMIT_GIB = 32.0

_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.5
_ABANDONED_S = 24 * 3600.0
"""An unfinished copy that is older was left by a killed process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardCache:
    """A folder of copies: `limit_bytes` at most, or one shard that is larger; the least recently opened go first.

    Any number of processes and threads of one machine may use it at once: each shard is fetched by one of them, and
    a copy that is open stays readable when it is removed. The limit should hold the shards of a window,
    `train.shuffle_window` ÷ `rasterize.samples_per_shard` + 1, or they are fetched over and over.
    """

    folder: Path
    limit_bytes: int

    @classmethod
    def from_environment(cls) -> "ShardCache":
        """The cache in `LATEXIFY_CACHE` (default: the platform's cache folder), `LATEXIFY_CACHE_GIB` large (32).

        Raises LatexifyError where the size is not a positive number.
        """
        folder = os.environ.get(FOLDER_VARIABLE)
        text = os.environ.get(LIMIT_VARIABLE, str(DEFAULT_LIMIT_GIB))
        try:
            limit_gib = float(text)
        except ValueError:
            limit_gib = 0.0
        if not 0 < limit_gib < 2**33:
            raise LatexifyError(f"{LIMIT_VARIABLE}={text} is not a number of GiB: set one such as 32")
        path = Path(folder) if folder else user_cache_path("latexify") / "shards"
        return cls(folder=path, limit_bytes=int(limit_gib * 2**30))

    def open(self, source: UPath, *, num_bytes: int, sha256: str) -> int:
        """Open the shard `source` for reading, from a copy that is made where there is none: a file descriptor.

        num_bytes, sha256: what the manifest says of it. Raises LatexifyError where it cannot be fetched, is not what
        the manifest says, or cannot be kept.
        """
        kept = self.folder / f"{sha256}.tar"
        found = _open_kept(kept, num_bytes=num_bytes)
        if found is not None:
            return found
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / f"{sha256[:2]}.lock"):
                found = _open_kept(kept, num_bytes=num_bytes)
                if found is None:  # nobody else fetched it while we waited
                    self._make_room(num_bytes)
                    found = _fetch(source, kept, sha256=sha256)
        except OSError as error:
            raise LatexifyError(
                f"{source} cannot be kept in {self.folder} ({error}): set {FOLDER_VARIABLE} to a folder with room"
            ) from None
        return found

    def _make_room(self, num_bytes: int) -> None:
        """Remove the least recently opened copies until one of `num_bytes` fits, and what killed processes left."""
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
    """Open a copy and note that it was of use; None where there is none, or a crash of the machine cut it off."""
    try:
        found = os.open(kept, os.O_RDONLY)
    except FileNotFoundError:
        return None
    if os.fstat(found).st_size != num_bytes:
        os.close(found)
        return None
    os.utime(found)
    return found


def _fetch(source: UPath, kept: Path, *, sha256: str) -> int:
    """Download a shard, check its hash, give the copy its name and return an open file descriptor.

    A download that the network cut off is tried again.
    """
    # a new object, because a file system object made before a fork cannot be used after it
    source = UPath(str(source), **source.storage_options)
    with replacing(kept) as temporary:
        for attempt in range(_ATTEMPTS):
            problem = _try_to_copy(source, temporary, sha256=sha256)
            if problem is None:
                return os.open(temporary, os.O_RDONLY)  # before other processes can see, and remove, the copy
            if attempt < _ATTEMPTS - 1:
                time.sleep(_FIRST_PAUSE_S * 2**attempt)
        raise LatexifyError(
            f"{source} cannot be fetched ({problem}): fix the connection, or run `{SHARDS.producer}` again"
        )


def _try_to_copy(source: UPath, target: Path, *, sha256: str) -> str | None:
    """Copy `source`; returns what is wrong with it or the network, in one line.

    Raises OSError for our own disk, LatexifyError where the store says that another try would be in vain.
    """
    try:
        with store_trouble(source):
            source.fs.get_file(source.path, str(target))
    except LatexifyError as error:
        if isinstance(error.__cause__, FileNotFoundError | PermissionError):
            raise
        return one_line(f"{type(error.__cause__).__name__}: {error.__cause__}")
    with target.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return None if found == sha256 else f"its SHA-256 is {found}, in the manifest {sha256}"
