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
from latexify.common.progress import notice
from latexify.pipeline.inputs.archives import is_input, iter_members
from latexify.pipeline.inputs.inputs import Content, Kind, SourceInput, is_xml_name, key_of, kind_of, printable
from latexify.pipeline.inputs.splits import SplitRule

HASHED_AT_ONCE_BYTES = 1 << 24  # larger files of a folder are hashed in pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One folder or archive of a dataset."""

    path: Location
    name: str  # path as the user wrote it
    rule: SplitRule  # assigns its inks to splits
    content: Content = "inkml"
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
    require_distinct(specs)
    listings = [_scan(spec) for spec in specs]
    prefixes = key_prefixes([spec.path.name for spec in specs], [listing.names for listing in listings])
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
            content=spec.content,
        )
        for spec, listing, prefix in zip(specs, listings, prefixes, strict=True)
    ]


def require_distinct(specs: Sequence[InputSpec]) -> None:
    """Raise LatexifyError if a folder or archive is named twice; one may hold both inks and pictures."""
    names = Counter((str(spec.path.resolve() if is_local(spec.path) else spec.path), spec.content) for spec in specs)
    repeated = [name for (name, _), count in names.items() if count > 1]
    if repeated:
        raise LatexifyError(f"{repeated[0]} is named twice in params.yaml: name each folder or archive once")


def _relative(path: Location, *, base: Path) -> str:
    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix() if is_local(path) else str(path)


def _scan(spec: InputSpec) -> _Listing:
    kind = kind_of(spec.path)
    listing = _scan_folder(spec) if kind == "folder" else _scan_archive(spec)
    if not listing.names and (spec.listed or kind == "folder"):
        kinds = "pictures" if spec.content == "pictures" else "InkML (*.inkml)"
        raise LatexifyError(f"{spec.path} holds no {kinds} that the dataset wants: name another path")
    return listing


def _scan_archive(spec: InputSpec) -> _Listing:
    names, left_out = [], []
    for member in iter_members(spec.path, max_bytes=None) if spec.listed else ():
        if is_input(member, spec.content) and spec.rule.selects(member.name):
            names.append(member.name)
        elif spec.content == "inkml" and is_xml_name(member.name):
            left_out.append(member.name)
    _name_left_out(spec, left_out, why="in an archive")
    sha256 = _digest(spec.path).hex()
    return _Listing(kind="archive", names=names, num_bytes=spec.path.stat().st_size, sha256=sha256)


def _scan_folder(spec: InputSpec) -> _Listing:
    names, left_out, num_bytes, digest = [], [], 0, hashlib.sha256()
    for member in iter_members(spec.path, max_bytes=HASHED_AT_ONCE_BYTES):
        if spec.content == "inkml" and not is_input(member, spec.content) and is_xml_name(member.name):
            left_out.append(member.name)
        elif is_input(member, spec.content) and spec.rule.selects(member.name):
            content = _digest(spec.path / member.name) if member.data is None else hashlib.sha256(member.data).digest()
            digest.update(member.name.encode("utf-8", "surrogateescape") + b"\0" + content)
            names.append(member.name)
            num_bytes += member.num_bytes
    _name_left_out(spec, left_out, why="no InkML")
    return _Listing(kind="folder", names=names, num_bytes=num_bytes, sha256=digest.hexdigest())


def _name_left_out(spec: InputSpec, names: Sequence[str], *, why: str) -> None:
    """Say which files of a suffix that may be InkML are not looked at; a folder's are, if they are InkML."""
    names = [name for name in names if spec.rule.selects(name)]
    if names:
        notice(f"source: {spec.name}: {len(names):,} .xml files are left out ({why}), such as {printable(names[0])}")


def _digest(file: Location) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(cast("io.BufferedReader", opened), "sha256").digest()


def key_prefixes(inputs: Sequence[str], members: Sequence[Sequence[str]]) -> list[str]:
    """Return the prefix of the keys of each input: empty if no key is in two inputs, else made of the input's own name.

    `inputs` are the file names of folders and archives, `members` the names of the members of each.
    """
    keys = [frozenset(map(key_of, names)) for names in members]
    if len(frozenset().union(*keys)) == sum(map(len, keys)):
        return [""] * len(inputs)
    stems = [key_of(name.partition(".")[0] or name) for name in inputs]
    repeated = {stem for stem, count in Counter(stems).items() if count > 1}
    return [f"{stem}-{number}/" if stem in repeated else f"{stem}/" for number, stem in enumerate(stems, start=1)]
