"""Chunks of inputs, the unit of work of ingest, and the record of what became of each."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location
from latexify.pipeline.inks.ink import Reason, Rejection
from latexify.pipeline.inputs.archives import Member, is_ink, iter_members
from latexify.pipeline.inputs.inputs import SourceInput, SourcePlan, changed_since, resolve_input

# a chunk ends at whichever limit comes first, which bounds a worker's memory
MEMBERS_PER_CHUNK = 1024
BYTES_PER_CHUNK = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive members, each with its input; `index` numbers the chunks of a dataset.

    Members carry their data, except those that workers read in place.
    """

    index: int
    members: Sequence[tuple[SourceInput, Member]]

    @property
    def identity(self) -> str:
        """Return the first 32 hex digits of the SHA-256 of the members' names and sizes."""
        names = "".join(f"{item.name}\0{member.name}\0{member.num_bytes}\n" for item, member in self.members)
        return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRecord:
    """What became of a chunk. Its rows are in the part of the same index, which is written first."""

    identity: str
    num_rows: int
    rejections: Sequence[Rejection]


def iter_chunks(plan: SourcePlan, *, base: Path, max_file_bytes: int, read_by_workers: bool) -> Iterator[Chunk]:
    """Yield all inputs of the plan in chunks that depend on the inputs only; `base` is the source folder.

    Members larger than `max_file_bytes` come without data, and so do members of folders and plain tars if they are
    `read_by_workers`, on this machine. Raises LatexifyError if an input is damaged or has changed since `source` ran.
    """
    index, num_bytes = 0, 0
    members: list[tuple[SourceInput, Member]] = []
    for item in plan.inputs:
        for member in _iter_inputs(item, base=base, max_bytes=max_file_bytes, in_place=read_by_workers):
            members.append((item, member))
            num_bytes += member.num_bytes if member.num_bytes <= max_file_bytes else 0
            if len(members) >= MEMBERS_PER_CHUNK or num_bytes >= BYTES_PER_CHUNK:
                yield Chunk(index=index, members=members)
                index, members, num_bytes = index + 1, [], 0
    if members:
        yield Chunk(index=index, members=members)


def require_unchanged(plan: SourcePlan, *, base: Path) -> None:
    """Raise LatexifyError if an input has changed since `source` ran, as far as its size and names tell."""
    for item in plan.inputs:
        resolve_input(item, base=base)
        if item.kind == "folder":
            for _ in _iter_inputs(item, base=base, max_bytes=None, in_place=True):
                pass


def _iter_inputs(item: SourceInput, *, base: Path, max_bytes: int | None, in_place: bool) -> Iterator[Member]:
    """Yield the InkML members of one input, then check their number and size against what `source` saw."""
    num_inputs, num_bytes = 0, 0
    for member in iter_members(resolve_input(item, base=base), max_bytes=max_bytes, in_place=in_place):
        if is_ink(member) and item.rule.selects(member.name):
            num_inputs += 1
            num_bytes += member.num_bytes
            yield member
    is_same_size = item.kind == "archive" or num_bytes == item.num_bytes
    if item.num_inputs not in {None, num_inputs} or not is_same_size:
        raise changed_since(item)


def record_name(index: int) -> str:
    """Return the file name of the record of chunk `index`."""
    return f"chunk-{index:05d}.json"


def write_record(folder: Location, index: int, record: ChunkRecord) -> None:
    """Write the record of a chunk. It comes last, since it says that the chunk's part is complete."""
    rejections = [[r.key, r.source, r.reason.value, r.detail] for r in record.rejections]
    content = {"identity": record.identity, "num_rows": record.num_rows, "rejections": rejections}
    write_json(folder / record_name(index), content)


def read_record(folder: Location, index: int) -> ChunkRecord:
    """Read the record of a chunk. Raises FileNotFoundError."""
    content = json.loads((folder / record_name(index)).read_text(encoding="utf-8"))
    rejections = [
        Rejection(key=key, source=source, reason=Reason(reason), detail=detail)
        for key, source, reason, detail in content["rejections"]
    ]
    return ChunkRecord(identity=content["identity"], num_rows=content["num_rows"], rejections=rejections)
