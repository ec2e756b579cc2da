"""One member of a source in, one ink or one rejection out; and chunks of them, written as parts of the catalogue."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.archives import Member, iter_members
from pipeline.catalogue import ink_table, part_name
from pipeline.config import IngestParams
from pipeline.ink import Ink, Reason, Rejection
from pipeline.inkml import ParsedInk, parse_inkml
from pipeline.inputs import SourceInput, SourcePlan, changed_since, is_input, locate
from pipeline.keys import key_of, printable
from pipeline.latex import normalize
from pipeline.markup import UnusableInkError
from pipeline.splits import known_writer, require_split
from shards.files import write_parquet
from shards.place import Place

MEMBERS_PER_CHUNK = 1024
BYTES_PER_CHUNK = 32_000_000
"""A chunk ends at whichever limit comes first, so that a worker's memory is bounded for files of any size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Consecutive members, each with the input that it is from; `index` numbers the chunks of a dataset."""

    index: int
    members: Sequence[tuple[SourceInput, Member]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """What became of a chunk; its rows are in the part of the same index."""

    index: int
    num_rows: int
    rejections: Sequence[Rejection]


def iter_chunks(plan: SourcePlan, *, base: Path, max_file_bytes: int) -> Iterator[Chunk]:
    """Yield all inputs of the plan in chunks that depend on the inputs only. `base` is the source folder.

    Raises LatexifyError where an input is damaged, or is not what it was when `source` looked at it.
    """
    index, num_bytes = 0, 0
    members: list[tuple[SourceInput, Member]] = []
    for item in plan.inputs:
        for member in _iter_inputs(item, base=base, max_file_bytes=max_file_bytes):
            members.append((item, member))
            num_bytes += len(member.data or b"")
            if len(members) >= MEMBERS_PER_CHUNK or num_bytes >= BYTES_PER_CHUNK:
                yield Chunk(index=index, members=members)
                index, members, num_bytes = index + 1, [], 0
    if members:
        yield Chunk(index=index, members=members)


def _iter_inputs(item: SourceInput, *, base: Path, max_file_bytes: int) -> Iterator[Member]:
    """The InkML members of one input; counts and sizes are compared with what `source` saw once all were yielded."""
    num_inputs, num_bytes = 0, 0
    for member in iter_members(locate(item, base=base), max_bytes=max_file_bytes):
        if is_input(member.name, rule=item.rule):
            num_inputs += 1
            num_bytes += member.num_bytes
            yield member
    is_same_size = item.kind == "archive" or num_bytes == item.num_bytes
    if item.num_inputs not in {None, num_inputs} or not is_same_size:
        raise changed_since(item)


def read_chunk(chunk: Chunk, *, plan: SourcePlan, params: IngestParams, out: Place) -> ChunkResult:
    """Parse a chunk and write its inks as part `chunk.index` in `out` (none where all were rejected)."""
    inks, rejections = [], []
    for item, member in chunk.members:
        result = read_member(member, item=item, plan=plan, params=params)
        if isinstance(result, Ink):
            inks.append(result)
        else:
            rejections.append(result)
    if inks:
        write_parquet(out / part_name(chunk.index), ink_table(inks))
    return ChunkResult(index=chunk.index, num_rows=len(inks), rejections=rejections)


def read_member(member: Member, *, item: SourceInput, plan: SourcePlan, params: IngestParams) -> Ink | Rejection:
    """Parse one member, find its label and split. Never raises for what the member holds."""
    key = item.key_prefix + key_of(member.name)
    source = f"{item.name}/{printable(member.name)}"
    try:
        parsed = _parse(member, params=params)
        label, normalized_label = _labels(parsed.annotations, plan=plan, params=params)
        writer = known_writer(_first(parsed.annotations, plan.writer_annotations))
        split = require_split(
            item.rule,
            path=member.name,
            annotations=parsed.annotations,
            writer=writer,
            normalized_label=normalized_label,
        )
    except UnusableInkError as error:
        return Rejection(key=key, source=source, reason=error.reason, detail=printable(error.detail))
    return Ink(
        key=key,
        split=split,
        label=label,
        normalized_label=normalized_label,
        strokes=parsed.strokes,
        writer=writer,
        source=source,
    )


def _parse(member: Member, *, params: IngestParams) -> ParsedInk:
    if not member.is_file:
        raise UnusableInkError(Reason.NOT_INKML, "a link or a device, no file")
    if member.data is None:
        raise UnusableInkError(
            Reason.TOO_LARGE, f"{member.num_bytes} bytes, at most {params.max_file_bytes} are allowed"
        )
    return parse_inkml(member.data, max_file_bytes=params.max_file_bytes, max_points=params.max_points)


def _labels(annotations: Mapping[str, str], *, plan: SourcePlan, params: IngestParams) -> tuple[str, str]:
    """The label as found, and normalised."""
    label = _first(annotations, plan.label_annotations)
    if label is None:
        raise UnusableInkError(Reason.NO_LABEL, f"no annotation {' or '.join(plan.label_annotations)}")
    if len(label) > params.max_label_chars:
        raise UnusableInkError(
            Reason.BAD_LABEL, f"{len(label)} characters, at most {params.max_label_chars} are allowed"
        )
    normalized_label = normalize(label)
    if not normalized_label:
        raise UnusableInkError(Reason.BAD_LABEL, f"nothing is left of {label[:80]!r} once it is normalised")
    return label, normalized_label


def _first(annotations: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((annotations[name] for name in names if name in annotations), None)
