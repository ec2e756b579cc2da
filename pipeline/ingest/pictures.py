"""Read the pictures of one chunk: trace each to strokes, and find its label and split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from latexify.pipeline.config import IngestParams
from latexify.pipeline.image.decode import decode_image
from latexify.pipeline.image.errors import PictureError
from latexify.pipeline.image.strokes import TracedPicture, trace_picture
from latexify.pipeline.ingest.chunks import Chunk
from latexify.pipeline.ingest.labels import InkTexts, Normalize, read_texts
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import PICTURE_SCHEMA, Reason, Rejection, StrokeColumns
from latexify.pipeline.inks.table import table_of
from latexify.pipeline.inputs.archives import Member, MemberReader
from latexify.pipeline.inputs.inputs import SourceInput, SourcePlan, key_of, printable
from latexify.pipeline.latex import normalize


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    key: str
    source: str
    texts: InkTexts
    traced: TracedPicture


def parse_pictures(
    chunk: Chunk, *, plan: SourcePlan, params: IngestParams, base: Path
) -> tuple[pa.Table, list[Rejection]]:
    """Return the rows of a chunk of pictures, of `PICTURE_SCHEMA`, and its rejections.

    `base` is the source folder. Raises LatexifyError if a file has changed since `source` ran.
    """
    assert plan.pictures is not None, "or the chunk would hold no pictures"
    normalize_once = lru_cache(maxsize=None)(normalize)
    rows: list[_Row] = []
    rejections: list[Rejection] = []
    with MemberReader(base=base, max_file_bytes=plan.pictures.max_file_bytes) as reader:
        for item, member in chunk.members:
            key = item.key_prefix + key_of(member.name)
            source = f"{item.name}/{printable(member.name)}"
            try:
                # labels first, because they take no time
                texts = _texts(member, item=item, plan=plan, params=params, normalize=normalize_once)
                traced = _trace(reader.load(member, item=item), plan=plan, params=params)
            except UnusableInkError as error:
                detail = printable(error.detail)
                rejections.append(Rejection(key=key, source=source, reason=error.reason, detail=detail))
            else:
                rows.append(_Row(key=key, source=source, texts=texts, traced=traced))
    return _table(rows), rejections


def _texts(
    member: Member, *, item: SourceInput, plan: SourcePlan, params: IngestParams, normalize: Normalize
) -> InkTexts:
    """Return label, split and writer. Raises UnusableInkError if there is no label, or it cannot be used."""
    label = member.label
    assert label is not None, "every picture has one, even if it says that there is none"
    if label.reason is not None:
        raise UnusableInkError(label.reason, label.detail)
    return read_texts(
        label.annotations,
        path=member.name,
        item=item,
        plan=plan,
        max_label_chars=params.max_label_chars,
        normalize=normalize,
    )


def _trace(member: Member, *, plan: SourcePlan, params: IngestParams) -> TracedPicture:
    """Trace a picture. Raises UnusableInkError if it cannot be read, is blank or too large."""
    assert plan.pictures is not None, "or the chunk would hold no pictures"
    if not member.is_file:
        raise UnusableInkError(Reason.NOT_PICTURE, "a link or a device, not a file")
    if member.data is None:
        problem = f"{member.num_bytes} bytes, at most {plan.pictures.max_file_bytes} are allowed"
        raise UnusableInkError(Reason.TOO_LARGE, problem)
    if not member.data:
        raise UnusableInkError(Reason.EMPTY_FILE, "the file is empty")
    try:
        traced = trace_picture(decode_image(member.data))
    except PictureError as error:
        raise UnusableInkError(error.reason, str(error)) from None
    num_points = sum(map(len, traced.strokes))
    if num_points > params.max_points:
        problem = f"{num_points} points were traced, at most {params.max_points} are allowed"
        raise UnusableInkError(Reason.TOO_LARGE, problem)
    return traced


def _table(rows: Sequence[_Row]) -> pa.Table:
    names = ("split", "label", "normalized_label", "writer")
    texts: Mapping[str, list[str | None]] = {
        "key": [row.key for row in rows],
        "source": [row.source for row in rows],
        **{name: [getattr(row.texts, name) for row in rows] for name in names},
    }
    inks = table_of(texts, strokes=StrokeColumns.of([row.traced.strokes for row in rows]))
    scales = pa.array([row.traced.stroke_scale for row in rows], pa.float64())
    return inks.append_column(PICTURE_SCHEMA.field("stroke_scale"), scales)
