"""What `source` tells `ingest`: which folders and archives to read, and how splits, labels and writers are found."""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from latexify.artifacts.location import Location, is_local, location_of
from latexify.common.errors import LatexifyError
from latexify.common.section import Section
from latexify.pipeline.inputs.archives import Kind, Member, iter_members, kind_of
from latexify.pipeline.inputs.keys import is_inkml_name, key_of
from latexify.pipeline.inputs.splits import SplitRule, selects

HASHED_AT_ONCE_BYTES = 1 << 24
"""A larger file of a folder is hashed in pieces."""


class SourceInput(Section):
    """One folder or archive of InkML.

    path: relative to the source folder (so that the project can be moved), with `/`; or a URL.
    name: as the user knows it; the `source` column begins with it.
    key_prefix: before every key, or empty.
    num_inputs: InkML files in it, None where counting would mean to decompress gigabytes.
    num_bytes: size of an archive, total size of a folder's InkML files.
    sha256: of an archive's bytes, or of a folder's sorted paths and contents.
    """

    path: str
    name: str
    kind: Kind
    key_prefix: str
    num_inputs: int | None
    num_bytes: int
    sha256: str
    rule: SplitRule


class SourcePlan(Section):
    """All that ingest needs: `content` of the source manifest.

    label_annotations, writer_annotations: types of the annotations that hold them; the first that is there wins.
    """

    inputs: list[SourceInput]
    label_annotations: list[str]
    writer_annotations: list[str]

    @classmethod
    def from_content(cls, content: Any, *, where: Path) -> "SourcePlan":
        """Read a plan. Raises LatexifyError where the content of the manifest at `where` is not a plan."""
        try:
            return cls.model_validate(dict(content))
        except ValidationError as error:
            problem = error.errors()[0]
            raise LatexifyError(
                f"{where} is of another version ({problem['loc']}: {problem['msg']}): run `latexify source` again"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One folder or archive that a dataset consists of.

    listed: whether to look inside for its files; needed where there is more than one input.
    """

    path: Location
    name: str
    rule: SplitRule
    listed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    kind: Kind
    num_inputs: int | None
    num_bytes: int
    keys: frozenset[str]
    sha256: str


def located(path: str, *, raw: Location) -> Location:
    """The folder or archive that a parameter names: a URL, or a path relative to the folder `raw`."""
    return location_of(path) if "://" in path else raw / path


def survey(wanted: Sequence[Wanted], *, base: Path) -> list[SourceInput]:
    """Look at each input: does it exist, how many InkML files does it hold, what are its bytes.

    base: the source folder, to which the paths will be relative.

    Raises LatexifyError where one is missing, damaged, or holds no InkML, or where one is named twice.
    """
    twice = [name for name, count in Counter(_full_name(item.path) for item in wanted).items() if count > 1]
    if twice:
        raise LatexifyError(f"{twice[0]} is named twice in params.yaml: name each folder or archive once")
    listings = [_look_at(item) for item in wanted]
    prefixes = _key_prefixes(wanted, listings)
    return [
        SourceInput(
            path=_relative(item.path, base=base),
            name=item.name,
            kind=listing.kind,
            key_prefix=prefix,
            num_inputs=listing.num_inputs,
            num_bytes=listing.num_bytes,
            sha256=listing.sha256,
            rule=item.rule,
        )
        for item, listing, prefix in zip(wanted, listings, prefixes, strict=True)
    ]


def _full_name(path: Location) -> str:
    return str(path.resolve() if is_local(path) else path)


def _relative(path: Location, *, base: Path) -> str:
    return Path(os.path.relpath(path.resolve(), base.resolve())).as_posix() if is_local(path) else str(path)


def locate(item: SourceInput, *, base: Path) -> Location:
    """Where the input lies, seen from the source folder `base`.

    Raises LatexifyError where it is gone or its size is not what it was when `source` looked.
    """
    path = location_of(item.path) if "://" in item.path else Path(os.path.normpath(base.resolve() / item.path))
    changed = kind_of(path) != item.kind
    if not changed and item.kind == "archive":
        changed = path.stat().st_size != item.num_bytes
    if changed:
        raise changed_since(item)
    return path


def changed_since(item: SourceInput) -> LatexifyError:
    """The error for an input that is not what `source` saw."""
    return LatexifyError(f"{item.name} has changed since `latexify source` looked at it: run `latexify source` again")


def _look_at(item: Wanted) -> _Listing:
    look = _look_at_folder if kind_of(item.path) == "folder" else _look_at_archive
    listing = look(item)
    if listing.num_inputs == 0:
        raise LatexifyError(f"{item.path} holds no InkML (*.inkml) that the dataset wants: name another path")
    return listing


def _look_at_archive(item: Wanted) -> _Listing:
    names: list[str] = []
    if item.listed:
        members = iter_members(item.path, max_bytes=None)
        names = [member.name for member in members if is_input(member.name, rule=item.rule)]
    digest = _digest(item.path).hex()
    return _Listing(
        kind="archive",
        num_inputs=len(names) if item.listed else None,
        num_bytes=item.path.stat().st_size,
        keys=frozenset(map(key_of, names)),
        sha256=digest,
    )


def _digest(file: Location) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(cast("io.BufferedReader", opened), "sha256").digest()


def _look_at_folder(item: Wanted) -> _Listing:
    names, num_bytes, digest = [], 0, hashlib.sha256()
    for member in iter_members(item.path, max_bytes=HASHED_AT_ONCE_BYTES):
        if not is_input(member.name, rule=item.rule):
            continue
        content = _hash(member, folder=item.path)
        digest.update(member.name.encode("utf-8", "surrogateescape") + b"\0" + content)
        names.append(member.name)
        num_bytes += member.num_bytes
    return _Listing(
        kind="folder",
        num_inputs=len(names),
        num_bytes=num_bytes,
        keys=frozenset(map(key_of, names)),
        sha256=digest.hexdigest(),
    )


def _hash(member: Member, *, folder: Location) -> bytes:
    if member.data is not None:
        return hashlib.sha256(member.data).digest()
    return _digest(folder / member.name)


def is_input(name: str, *, rule: SplitRule) -> bool:
    """Whether the member `name` counts: every such member becomes an ink or a rejection."""
    return is_inkml_name(name) and selects(rule, name)


def _key_prefixes(wanted: Sequence[Wanted], listings: Sequence[_Listing]) -> list[str]:
    """No prefix where no key is in two inputs; otherwise the inputs' own names, made different."""
    num_keys = sum(len(listing.keys) for listing in listings)
    if len(frozenset().union(*(listing.keys for listing in listings))) == num_keys:
        return [""] * len(wanted)
    stems = [key_of(item.path.name.partition(".")[0] or item.path.name) for item in wanted]
    repeated = {stem for stem, count in Counter(stems).items() if count > 1}
    return [f"{stem}-{number}/" if stem in repeated else f"{stem}/" for number, stem in enumerate(stems, start=1)]
