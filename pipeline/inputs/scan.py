"""Scan the folders and archives of a dataset: existence, number of InkML files, hashes and key prefixes."""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from latexify.artifacts.location import Location, is_local
from latexify.common.errors import LatexifyError
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.inputs.inputs import Kind, SourceInput, is_input, key_of, kind_of
from latexify.pipeline.inputs.splits import SplitRule

HASHED_AT_ONCE_BYTES = 1 << 24  # larger files of a folder are hashed in pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One folder or archive of a dataset."""

    path: Location
    name: str  # path as the user wrote it
    rule: SplitRule  # assigns its inks to splits
    listed: bool = True  # whether to list its files; required if there is more than one input


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    kind: Kind
    names: Sequence[str]
    num_bytes: int
    sha256: str


def scan_inputs(specs: Sequence[InputSpec], *, base: Path) -> list[SourceInput]:
    """Scan the inputs of a dataset; `base` is the source folder, to which paths of local inputs become relative.

    Raises LatexifyError if an input is missing, damaged, holds no InkML, or is named twice.
    """
    names = Counter(str(spec.path.resolve() if is_local(spec.path) else spec.path) for spec in specs)
    repeated = [name for name, count in names.items() if count > 1]
    if repeated:
        raise LatexifyError(f"{repeated[0]} is named twice in params.yaml: name each folder or archive once")
    listings = [_scan(spec) for spec in specs]
    prefixes = _key_prefixes(specs, listings)
    return [
        SourceInput(
            path=_relative(spec.path, base=base),
            name=spec.name,
            kind=listing.kind,
            key_prefix=prefix,
            num_inputs=len(listing.names) if spec.listed or listing.kind == "folder" else None,
            num_bytes=listing.num_bytes,
            sha256=listing.sha256,
            rule=spec.rule,
        )
        for spec, listing, prefix in zip(specs, listings, prefixes, strict=True)
    ]


def _relative(path: Location, *, base: Path) -> str:
    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix() if is_local(path) else str(path)


def _scan(spec: InputSpec) -> _Listing:
    kind = kind_of(spec.path)
    listing = _scan_folder(spec) if kind == "folder" else _scan_archive(spec)
    if not listing.names and (spec.listed or kind == "folder"):
        raise LatexifyError(f"{spec.path} holds no InkML (*.inkml) that the dataset wants: name another path")
    return listing


def _scan_archive(spec: InputSpec) -> _Listing:
    members = iter_members(spec.path, max_bytes=None) if spec.listed else ()
    names = [member.name for member in members if is_input(member.name, rule=spec.rule)]
    sha256 = _digest(spec.path).hex()
    return _Listing(kind="archive", names=names, num_bytes=spec.path.stat().st_size, sha256=sha256)


def _scan_folder(spec: InputSpec) -> _Listing:
    names, num_bytes, digest = [], 0, hashlib.sha256()
    for member in iter_members(spec.path, max_bytes=HASHED_AT_ONCE_BYTES):
        if is_input(member.name, rule=spec.rule):
            content = _digest(spec.path / member.name) if member.data is None else hashlib.sha256(member.data).digest()
            digest.update(member.name.encode("utf-8", "surrogateescape") + b"\0" + content)
            names.append(member.name)
            num_bytes += member.num_bytes
    return _Listing(kind="folder", names=names, num_bytes=num_bytes, sha256=digest.hexdigest())


def _digest(file: Location) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(cast("io.BufferedReader", opened), "sha256").digest()


def _key_prefixes(specs: Sequence[InputSpec], listings: Sequence[_Listing]) -> list[str]:
    """Return empty prefixes if no key is in two inputs, otherwise the inputs' own names, made unique."""
    keys = [frozenset(map(key_of, listing.names)) for listing in listings]
    if len(frozenset().union(*keys)) == sum(map(len, keys)):
        return [""] * len(specs)
    stems = [key_of(spec.path.name.partition(".")[0] or spec.path.name) for spec in specs]
    repeated = {stem for stem, count in Counter(stems).items() if count > 1}
    return [f"{stem}-{number}/" if stem in repeated else f"{stem}/" for number, stem in enumerate(stems, start=1)]
