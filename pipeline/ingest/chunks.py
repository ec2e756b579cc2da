"""Chunks of inputs, the unit of work of ingest, and the record of what became of each."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from latexify.artifacts.files import read_parquet, write_json
from latexify.artifacts.location import Location
from latexify.artifacts.names import LABELS_NAME, REJECTS_NAME
from latexify.pipeline.inks.ink import Reason, Rejection
from latexify.pipeline.inputs.archives import Member, is_input, iter_members
from latexify.pipeline.inputs.inputs import Content, SourceInput, SourcePlan, changed_since, resolve_input
from latexify.pipeline.inputs.pictures import PictureLabel, read_labels

# a chunk ends at whichever limit comes first, which bounds a worker's memory
MEMBERS_PER_CHUNK = 1024
BYTES_PER_CHUNK = 8_000_000
PICTURES_PER_CHUNK = 256  # tracing one takes as long as parsing a hundred inks
PICTURE_BYTES_PER_CHUNK = 64_000_000
REJECTIONS_PER_CHUNK = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive members, each with its input; `index` numbers the chunks of a dataset.

    Members carry their data, except those that workers read in place.
    """

    index: int
    members: Sequence[tuple[SourceInput, Member]]
    rejections: Sequence[Rejection] = ()  # that `source` found; they stand alone

    @property
    def content(self) -> Content:
        """Return what the members are; all are alike."""
        return self.members[0][0].content if self.members else "inkml"

    @property
    def dataset(self) -> str | None:
        """Return the dataset of all members; None if there is only one, or no member."""
        return self.members[0][0].dataset if self.members else None

    @property
    def identity(self) -> str:
        """Return the first 32 hex digits of the SHA-256 of the members' names and sizes."""
        names = "".join(f"{item.name}\0{member.name}\0{member.num_bytes}\n" for item, member in self.members)
        names += "".join(f"{rejection.source}\n" for rejection in self.rejections)
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
    index = 0
    for members in _groups(plan, base=base, max_file_bytes=max_file_bytes, in_place=read_by_workers):
        yield Chunk(index=index, members=members)
        index += 1
    if plan.pictures is not None:
        rejections = _source_rejections(base)
        for start in range(0, len(rejections), REJECTIONS_PER_CHUNK):
            yield Chunk(index=index, members=[], rejections=rejections[start : start + REJECTIONS_PER_CHUNK])
            index += 1


def _groups(
    plan: SourcePlan, *, base: Path, max_file_bytes: int, in_place: bool
) -> Iterator[list[tuple[SourceInput, Member]]]:
    """Yield the members of each chunk, which are all inks or all pictures, and of one dataset."""
    labels = read_labels(base / LABELS_NAME) if plan.pictures is not None else iter(())
    members: list[tuple[SourceInput, Member]] = []
    num_bytes = 0
    for item in plan.inputs:
        limit, most, most_bytes = max_file_bytes, MEMBERS_PER_CHUNK, BYTES_PER_CHUNK
        if item.content == "pictures":
            assert plan.pictures is not None, "as the stage source writes it"
            limit, most, most_bytes = plan.pictures.max_file_bytes, PICTURES_PER_CHUNK, PICTURE_BYTES_PER_CHUNK
        if members and (members[0][0].content, members[0][0].dataset) != (item.content, item.dataset):
            yield members
            members, num_bytes = [], 0
        for member in _iter_inputs(item, base=base, max_bytes=limit, in_place=in_place):
            labelled = _labelled(member, next(labels, None), item=item) if item.content == "pictures" else member
            members.append((item, labelled))
            num_bytes += member.num_bytes if member.num_bytes <= limit else 0
            if len(members) >= most or num_bytes >= most_bytes:
                yield members
                members, num_bytes = [], 0
    if members:
        yield members


def _labelled(member: Member, label: PictureLabel | None, *, item: SourceInput) -> Member:
    """Return the picture with what the lists say of it. Raises LatexifyError if it is not the one that follows."""
    if label is None or label.name != member.name:
        raise changed_since(item)
    return replace(member, label=label)


def _source_rejections(base: Path) -> list[Rejection]:
    rows = read_parquet(base / REJECTS_NAME).to_pylist()
    return [Rejection(**{**row, "reason": Reason(row["reason"])}) for row in rows]


def require_unchanged(plan: SourcePlan, *, base: Path) -> None:
    """Raise LatexifyError if an input has changed since `source` ran, as far as its size and names tell."""
    for item in plan.inputs:
        resolve_input(item, base=base)
        if item.kind == "folder":
            for _ in _iter_inputs(item, base=base, max_bytes=None, in_place=True):
                pass


def _iter_inputs(item: SourceInput, *, base: Path, max_bytes: int | None, in_place: bool) -> Iterator[Member]:
    """Yield the inks or pictures of one input, then check their number and size against what `source` saw."""
    num_inputs, num_bytes = 0, 0
    for member in iter_members(resolve_input(item, base=base), max_bytes=max_bytes, in_place=in_place):
        if is_input(member, item.content) and item.rule.selects(member.name):
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
