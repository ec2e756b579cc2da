"""Hashes of raw files and folders as DVC makes them, so that those which are not here can be compared, too."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from upath import UPath

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location, is_local
from latexify.common.progress import notice
from latexify.pipeline.inputs.walk import walk_files


class ContentHashes:
    """MD5 hashes of files and folders; those of what did not change since the last run come from a cache.

    `cache` is the JSON file of it. A file is taken as unchanged if its size, its time of change and its inode are.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._known = _read_cache(cache)
        self._seen: dict[str, list[str]] = {}

    def of(self, location: Location) -> str | None:
        """Return the hash of a file or folder, or what DVC has recorded where it is not here; None if nothing knows it.

        In an object store, it is made of names, sizes and the store's own checksums.
        """
        if not is_local(location):
            return _stored_hash(location)
        if not location.exists():
            return recorded_by_dvc(location)
        names = _names(location)
        signature = hashlib.sha256()
        for name in names:
            status = (location / name).stat()
            signature.update(f"{name}\0{status.st_size} {status.st_mtime_ns} {status.st_ino}\n".encode())
        entry = self._known.get(str(location.absolute()))
        if entry is None or entry[0] != signature.hexdigest():
            entry = [signature.hexdigest(), _content_hash(location, names)]
        self._seen[str(location.absolute())] = entry
        return entry[1]

    def save(self) -> None:
        """Write the cache, of what was asked for."""
        write_json(self._cache, self._seen)


def _names(location: Path) -> list[str]:
    """Return the paths of a folder's files, without those that DVC puts there; for a file, itself."""
    if not location.is_dir():
        return [""]
    return [name for name in walk_files(location) if not (name.endswith(".dvc") or Path(name).name == ".gitignore")]


def _content_hash(location: Path, names: list[str]) -> str:
    """Return the hash by which DVC tracks a file or a folder (``….dir``)."""
    if not location.is_dir():
        return _md5(location)
    listed = [{"md5": _md5(location / name), "relpath": name} for name in names]
    return hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _stored_hash(location: UPath) -> str | None:
    if not location.exists():
        return None
    found: dict[str, dict[str, Any]] = location.fs.find(location.path, detail=True)
    facts = [[path, info["size"], str(info.get("ETag") or info.get("md5Hash"))] for path, info in sorted(found.items())]
    return hashlib.md5(json.dumps(facts).encode(), usedforsecurity=False).hexdigest()


def recorded_by_dvc(path: Path) -> str | None:
    """Return the hash by which DVC tracks a file or folder that is not here; None if it does not."""
    recorded = (_dvc_info(path) or {}).get("dvc_info", {}).get("md5")
    return None if recorded is None else str(recorded)


def fetch_tracked(locations: Sequence[Location]) -> None:
    """Let DVC fetch the files and folders that it tracks and that are not here, where it runs this process.

    DVC itself cannot know that a stage reads them. What cannot be fetched stays missing, after DVC's own message.
    """
    if "DVC_ROOT" not in os.environ:
        return
    missing = [str(path) for path in locations if is_local(path) and not path.exists() and _dvc_info(path) is not None]
    if missing:
        notice(f"source: fetching {', '.join(missing)} with DVC")
        subprocess.run([sys.executable, "-m", "dvc", "pull", "--quiet", *missing], check=False)  # noqa: S603


def _dvc_info(path: Path) -> dict[str, Any] | None:
    """Return what DVC knows of a file or folder that is not here; None if it knows nothing."""
    try:
        from dvc.exceptions import NotDvcRepoError  # noqa: PLC0415  # slow to import, and rarely needed
        from dvc.repo import Repo  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    around = next(folder for folder in path.resolve().parents if folder.is_dir())
    try:
        with Repo(Repo.find_root(str(around))) as repo:
            info: dict[str, Any] = repo.dvcfs.info(os.path.relpath(path.resolve(), repo.root_dir))
    except (NotDvcRepoError, FileNotFoundError):
        return None
    return info


def _read_cache(path: Path) -> dict[str, list[str]]:
    """Read the cache; empty where there is none, or it is damaged and the hashes are therefore made again."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
