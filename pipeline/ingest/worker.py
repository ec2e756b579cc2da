"""Parse one chunk of members into a part of the inks folder and its record."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from latexify.artifacts.draft import BUILD_KEY_NAME
from latexify.artifacts.files import read_parquet
from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import IngestParams
from latexify.pipeline.ingest.chunks import Chunk, ChunkRecord, read_record, write_record
from latexify.pipeline.ingest.dedup import ChunkOutcome, identities_of
from latexify.pipeline.ingest.labels import InkTexts, Normalize, read_texts
from latexify.pipeline.ingest.pictures import parse_pictures
from latexify.pipeline.inkml.document import Document, no_strokes_error, read_document
from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason, Rejection, StrokeColumns
from latexify.pipeline.inks.schemas import INK_SCHEMA
from latexify.pipeline.inks.table import part_name, table_of, write_part
from latexify.pipeline.inputs.archives import Member, MemberReader
from latexify.pipeline.inputs.inputs import SourceInput, SourcePlan, key_of, printable
from latexify.pipeline.latex import normalize

_NO_TRACES = TraceTexts(texts=(), channels=())
_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A member whose numbers are not parsed yet, with the problem of its file or of its texts, if any."""

    key: str
    source: str
    traces: TraceTexts = _NO_TRACES
    texts: InkTexts | None = None
    unreadable: UnusableInkError | None = None
    unlabelled: UnusableInkError | None = None


def read_chunk(chunk: Chunk, *, plan: SourcePlan, params: IngestParams, base: Path, out: Location) -> ChunkOutcome:
    """Parse a chunk, write its inks as part `chunk.index` (no part if all were rejected), then its record.

    `base` is the source folder and `out` the draft of the inks folder, as the worker sees them. Raises LatexifyError if
    the worker cannot see the draft, or a file has changed since `source` ran.
    """
    if not (out / BUILD_KEY_NAME).is_file():
        raise LatexifyError(
            f"a worker cannot see {out}: name a folder that all machines share, or a URL such as s3://bucket/data"
        )
    parse = parse_pictures if chunk.content == "pictures" else _parse
    inks, rejections = parse(chunk, plan=plan, params=params, base=base)
    rejections += chunk.rejections
    part = out / part_name(chunk.index)
    if inks.num_rows:
        write_part(part, inks)
    else:
        part.unlink(missing_ok=True)
    record = ChunkRecord(identity=chunk.identity, num_rows=inks.num_rows, rejections=rejections)
    write_record(out, chunk.index, record)
    identities = identities_of(inks)
    outcome = ChunkOutcome(
        index=chunk.index, num_rejected=len(rejections), identities=identities, dataset=chunk.dataset
    )
    del inks
    pa.default_memory_pool().release_unused()  # Arrow would keep the memory of the largest chunk
    return outcome


def recall_chunk(index: int, *, dataset: str | None, out: Location) -> ChunkOutcome:
    """Return what an interrupted run made of chunk `index`, of `dataset`, from its record and its part in `out`."""
    record = read_record(out, index)
    rows = INK_SCHEMA.empty_table()
    if record.num_rows:
        rows = read_parquet(out / part_name(index), columns=["key", "split", "content_hash"])
    num_rejected = len(record.rejections)
    return ChunkOutcome(index=index, num_rejected=num_rejected, identities=identities_of(rows), dataset=dataset)


def _parse(chunk: Chunk, *, plan: SourcePlan, params: IngestParams, base: Path) -> tuple[pa.Table, list[Rejection]]:
    """Return the inks and rejections of a chunk. The numbers of many inks are converted together."""
    normalize_once = lru_cache(maxsize=None)(normalize)  # a third of CROHME's labels repeat
    inks: list[tuple[str, str, InkTexts]] = []
    strokes: list[StrokeColumns] = []
    rejections: list[Rejection] = []
    with MemberReader(base=base, max_file_bytes=params.max_file_bytes) as reader:
        for group in _groups(chunk.members):
            # two loops: interleaving them would thrash the CPU cache
            documents = [_document(reader.load(member, item=item), params=params) for item, member in group]
            candidates = [
                _candidate(document, name=member.name, item=item, plan=plan, params=params, normalize=normalize_once)
                for document, (item, member) in zip(documents, group, strict=True)
            ]
            columns, refused = parse_traces([each.traces for each in candidates], max_points=params.max_points)
            is_ink = np.zeros(len(candidates), np.bool_)
            for row, candidate in enumerate(candidates):
                empty = None if columns.num_strokes[row] else no_strokes_error()
                problem = candidate.unreadable or refused.get(row) or empty or candidate.unlabelled
                is_ink[row] = problem is None
                if problem is None:
                    assert candidate.texts is not None, "or `unlabelled` would be set"
                    inks.append((candidate.key, candidate.source, candidate.texts))
                else:
                    key, source, detail = candidate.key, candidate.source, printable(problem.detail)
                    rejections.append(Rejection(key=key, source=source, reason=problem.reason, detail=detail))
            strokes.append(columns.take(is_ink))
    joined = StrokeColumns.concatenate(strokes)
    strokes.clear()
    return table_of(_text_columns(inks), strokes=joined), rejections


def _groups(members: Sequence[tuple[SourceInput, Member]]) -> Iterator[Sequence[tuple[SourceInput, Member]]]:
    """Split members into groups whose text is held at a time, since a whole chunk would take much memory."""
    first, num_bytes = 0, 0
    for end, (_, member) in enumerate(members, start=1):
        num_bytes += member.num_bytes
        if num_bytes >= _BYTES_AT_ONCE:
            yield members[first:end]
            first, num_bytes = end, 0
    if first < len(members):
        yield members[first:]


def _document(member: Member, *, params: IngestParams) -> Document | UnusableInkError:
    """Split one member into traces and annotations. Never raises because of its content."""
    if not member.is_file:
        return UnusableInkError(Reason.NOT_INKML, "a link or a device, not a file")
    if member.data is None:
        problem = f"{member.num_bytes} bytes, at most {params.max_file_bytes} are allowed"
        return UnusableInkError(Reason.TOO_LARGE, problem)
    try:
        return read_document(member.data, max_file_bytes=params.max_file_bytes)
    except UnusableInkError as error:
        return error.untraced()


def _candidate(  # noqa: PLR0913  # all that a label and a split may depend on
    document: Document | UnusableInkError,
    *,
    name: str,
    item: SourceInput,
    plan: SourcePlan,
    params: IngestParams,
    normalize: Normalize,
) -> _Candidate:
    """Find label and split of the member `name`. Never raises because of its content."""
    key = item.key_prefix + key_of(name)
    source = f"{item.name}/{printable(name)}"
    if isinstance(document, UnusableInkError):
        return _Candidate(key=key, source=source, unreadable=document)
    try:
        texts = read_texts(
            document.annotations,
            path=name,
            item=item,
            plan=plan,
            max_label_chars=params.max_label_chars,
            normalize=normalize,
        )
    except UnusableInkError as error:
        return _Candidate(key=key, source=source, traces=document.traces, unlabelled=error.untraced())
    return _Candidate(key=key, source=source, traces=document.traces, texts=texts)


def _text_columns(inks: Sequence[tuple[str, str, InkTexts]]) -> dict[str, list[str | None]]:
    """Return the columns of key, source and texts of each ink."""
    names = ("split", "label", "normalized_label", "writer")
    columns = {name: [getattr(texts, name) for _, _, texts in inks] for name in names}
    return {"key": [key for key, _, _ in inks], "source": [source for _, source, _ in inks], **columns}
