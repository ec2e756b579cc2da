"""A chunk of members in, its part of the catalogue and its record out: what the workers of ingest do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
from latexify.pipeline.ingest.duplicates import Identities, identities_of
from latexify.pipeline.inkml.document import Document, no_strokes, read_document
from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import INK_SCHEMA, Reason, Rejection, StrokeColumns
from latexify.pipeline.inks.table import part_name, table_of, write_part
from latexify.pipeline.inputs.archives import Member
from latexify.pipeline.inputs.inputs import SourceInput, SourcePlan
from latexify.pipeline.inputs.keys import key_of, printable
from latexify.pipeline.inputs.members import MemberReader
from latexify.pipeline.inputs.splits import known_writer, require_split
from latexify.pipeline.latex import normalize

_NO_TRACES = TraceTexts(texts=(), channels=())

_BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkOutcome:
    """What became of chunk `index`: how many rejections, and rows by what tells them from others."""

    index: int
    num_rejected: int
    identities: Identities

    @property
    def num_rows(self) -> int:
        """Rows of its part."""
        return len(self.identities.splits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The text columns of an ink but for key and source: what a file says, and the split that follows from it."""

    split: str
    label: str
    normalized_label: str
    writer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A member that is read but for its numbers, with what is wrong with it: its file, or only its texts."""

    key: str
    source: str
    traces: TraceTexts = _NO_TRACES
    texts: Texts | None = None
    unreadable: UnusableInkError | None = None
    unlabelled: UnusableInkError | None = None


def read_chunk(chunk: Chunk, *, plan: SourcePlan, params: IngestParams, base: Path, out: Location) -> ChunkOutcome:
    """Parse a chunk, write its inks as part `chunk.index` in `out` (none where all were rejected), then its record.

    base: the source folder; out: the draft of the inks folder. Both must be places that the worker sees.

    Raises LatexifyError where it does not, or where a file of a folder has changed since `source` looked at it.
    """
    if not (out / BUILD_KEY_NAME).is_file():
        raise LatexifyError(
            f"{out} is not there for a worker: name a folder that all machines share, or a URL such as s3://bucket/data"
        )
    inks, rejections = _parse(chunk, plan=plan, params=params, base=base)
    part = out / part_name(chunk.index)
    if inks.num_rows:
        write_part(part, inks)
    else:
        part.unlink(missing_ok=True)
    record = ChunkRecord(identity=chunk.identity, num_rows=inks.num_rows, rejections=rejections)
    write_record(out, chunk.index, record)
    outcome = ChunkOutcome(index=chunk.index, num_rejected=len(rejections), identities=identities_of(inks))
    del inks
    pa.default_memory_pool().release_unused()  # Arrow would keep what the largest chunk took
    return outcome


def recall_chunk(index: int, *, out: Location) -> ChunkOutcome:
    """What an earlier run has made of chunk `index`, by its record and its part in `out`."""
    record = read_record(out, index)
    rows = INK_SCHEMA.empty_table()
    if record.num_rows:
        rows = read_parquet(out / part_name(index), columns=["key", "split", "content_hash"])
    return ChunkOutcome(index=index, num_rejected=len(record.rejections), identities=identities_of(rows))


def _parse(chunk: Chunk, *, plan: SourcePlan, params: IngestParams, base: Path) -> tuple[pa.Table, list[Rejection]]:
    """The inks and the rejections of a chunk; the numbers of many inks are converted together."""
    normalize_once = lru_cache(maxsize=None)(normalize)  # a third of CROHME's labels repeat
    inks: list[tuple[str, str, Texts]] = []
    strokes: list[StrokeColumns] = []
    rejections: list[Rejection] = []
    with MemberReader(base=base, max_file_bytes=params.max_file_bytes) as reader:
        for group in _groups(chunk.members):
            # in two loops, each of which stays in the processor's caches
            documents = [_document(reader.load(member, item=item), params=params) for item, member in group]
            candidates = [
                _candidate(document, name=member.name, item=item, plan=plan, params=params, normalize=normalize_once)
                for document, (item, member) in zip(documents, group, strict=True)
            ]
            columns, refused = parse_traces([each.traces for each in candidates], max_points=params.max_points)
            is_ink = np.zeros(len(candidates), np.bool_)
            for row, candidate in enumerate(candidates):
                empty = None if columns.num_strokes[row] else no_strokes()
                problem = candidate.unreadable or refused.get(row) or empty or candidate.unlabelled
                is_ink[row] = problem is None
                if problem is None:
                    assert candidate.texts is not None, "or it were unlabelled"
                    inks.append((candidate.key, candidate.source, candidate.texts))
                else:
                    rejections.append(_rejection(candidate, problem))
            strokes.append(columns.take(is_ink))
    joined = StrokeColumns.concatenate(strokes)
    strokes.clear()
    return table_of(_text_columns(inks), strokes=joined), rejections


def _groups(members: Sequence[tuple[SourceInput, Member]]) -> Iterator[Sequence[tuple[SourceInput, Member]]]:
    """Members whose text is held at a time: a chunk's would be most of a worker's memory."""
    first, num_bytes = 0, 0
    for place, (_, member) in enumerate(members):
        num_bytes += member.num_bytes
        if num_bytes >= _BYTES_AT_ONCE:
            yield members[first : place + 1]
            first, num_bytes = place + 1, 0
    if first < len(members):
        yield members[first:]


def _document(member: Member, *, params: IngestParams) -> Document | UnusableInkError:
    """Take one member apart. Never raises for what it holds."""
    if not member.is_file:
        return UnusableInkError(Reason.NOT_INKML, "a link or a device, no file")
    if member.data is None:
        return UnusableInkError(
            Reason.TOO_LARGE, f"{member.num_bytes} bytes, at most {params.max_file_bytes} are allowed"
        )
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
    normalize: Callable[[str], str],
) -> _Candidate:
    """Find label and split of the member `name`. Never raises for what it holds."""
    key = item.key_prefix + key_of(name)
    source = f"{item.name}/{printable(name)}"
    if isinstance(document, UnusableInkError):
        return _Candidate(key=key, source=source, unreadable=document)
    try:
        texts = texts_of(document, path=name, item=item, plan=plan, params=params, normalize=normalize)
    except UnusableInkError as error:
        return _Candidate(key=key, source=source, traces=document.traces, unlabelled=error.untraced())
    return _Candidate(key=key, source=source, traces=document.traces, texts=texts)


def texts_of(  # noqa: PLR0913  # all that a label and a split may depend on
    document: Document,
    *,
    path: str,
    item: SourceInput,
    plan: SourcePlan,
    params: IngestParams,
    normalize: Callable[[str], str],
) -> Texts:
    """Label, writer and split of one ink. Raises UnusableInkError (NO_LABEL, BAD_LABEL, NO_SPLIT)."""
    annotations = document.annotations
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
    writer = known_writer(_first(annotations, plan.writer_annotations))
    split = require_split(
        item.rule, path=path, annotations=annotations, writer=writer, normalized_label=normalized_label
    )
    return Texts(split=split, label=label, normalized_label=normalized_label, writer=writer)


def _first(annotations: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((annotations[name] for name in names if name in annotations), None)


def _rejection(candidate: _Candidate, problem: UnusableInkError) -> Rejection:
    detail = printable(problem.detail)
    return Rejection(key=candidate.key, source=candidate.source, reason=problem.reason, detail=detail)


def _text_columns(inks: Sequence[tuple[str, str, Texts]]) -> dict[str, list[str | None]]:
    """Columns of the key, the source and the texts of each ink."""
    return {
        "key": [key for key, _, _ in inks],
        "source": [source for _, source, _ in inks],
        "split": [texts.split for _, _, texts in inks],
        "label": [texts.label for _, _, texts in inks],
        "normalized_label": [texts.normalized_label for _, _, texts in inks],
        "writer": [texts.writer for _, _, texts in inks],
    }
