"""Read the pictures of one chunk: trace each to strokes or crop it, and find its label and split."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.pipeline.config import IngestParams
from latexify.pipeline.image.crop import crop_picture
from latexify.pipeline.image.decode import decode_image
from latexify.pipeline.image.errors import PictureError
from latexify.pipeline.image.strokes import TracedPicture, trace_picture
from latexify.pipeline.ingest.chunks import Chunk
from latexify.pipeline.ingest.labels import InkTexts, Normalize, read_texts
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import CroppedPicture, Reason, Rejection, StrokeColumns
from latexify.pipeline.inks.schemas import PICTURE_SCHEMA
from latexify.pipeline.inks.table import picture_hash, table_of
from latexify.pipeline.inputs.archives import Member, MemberReader
from latexify.pipeline.inputs.inputs import SourceInput, SourcePlan, key_of, printable
from latexify.pipeline.latex import normalize


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    key: str
    source: str
    texts: InkTexts
    content: TracedPicture | CroppedPicture


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
                content = read_picture(
                    reader.load(member, item=item),
                    trace=plan.pictures.trace,
                    max_file_bytes=plan.pictures.max_file_bytes,
                    max_points=params.max_points,
                )
            except UnusableInkError as error:
                detail = printable(error.detail)
                rejections.append(Rejection(key=key, source=source, reason=error.reason, detail=detail))
            else:
                rows.append(_Row(key=key, source=source, texts=texts, content=content))
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


def read_picture(
    member: Member, *, trace: bool, max_file_bytes: int, max_points: int
) -> TracedPicture | CroppedPicture:
    """Trace or crop a picture. Raises UnusableInkError if it cannot be read, is blank or too large."""
    grey = decode_member(member, max_file_bytes=max_file_bytes)
    try:
        if not trace:
            return crop_picture(grey)
        traced = trace_picture(grey)
    except PictureError as error:
        raise UnusableInkError(error.reason, str(error)) from None
    num_points = sum(map(len, traced.strokes))
    if num_points > max_points:
        problem = f"{num_points} points were traced, at most {max_points} are allowed"
        raise UnusableInkError(Reason.TOO_LARGE, problem)
    return traced


def decode_member(member: Member, *, max_file_bytes: int) -> npt.NDArray[np.uint8]:
    """Decode a picture to grey, uint8 [height, width]. Raises UnusableInkError if it cannot be read or is too large."""
    if not member.is_file:
        raise UnusableInkError(Reason.NOT_PICTURE, "a link or a device, not a file")
    if member.data is None:
        problem = f"{member.num_bytes} bytes, at most {max_file_bytes} are allowed"
        raise UnusableInkError(Reason.TOO_LARGE, problem)
    if not member.data:
        raise UnusableInkError(Reason.EMPTY_FILE, "the file is empty")
    try:
        return decode_image(member.data)
    except PictureError as error:
        raise UnusableInkError(error.reason, str(error)) from None


def _table(rows: Sequence[_Row]) -> pa.Table:
    names = ("split", "label", "normalized_label", "writer")
    texts: Mapping[str, list[str | None]] = {
        "key": [row.key for row in rows],
        "source": [row.source for row in rows],
        **{name: [getattr(row.texts, name) for row in rows] for name in names},
    }
    traced = [row.content if isinstance(row.content, TracedPicture) else None for row in rows]
    cropped = [row.content if isinstance(row.content, CroppedPicture) else None for row in rows]
    strokes = StrokeColumns.of([picture.strokes if picture else [] for picture in traced])
    # all are traced, or none is
    hashes = [picture_hash(picture) for picture in cropped if picture is not None] or None
    columns = table_of(texts, strokes=strokes, hashes=hashes).columns
    scales = pa.array([picture.stroke_scale if picture else 1.0 for picture in traced], pa.float64())
    pictures = pa.array(
        [asdict(picture) if picture else None for picture in cropped], PICTURE_SCHEMA.field("picture").type
    )
    return pa.table([*columns, scales, pictures], schema=PICTURE_SCHEMA)
