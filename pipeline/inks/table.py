"""The inks folder: strokes and labels as Parquet (`latexify.pipeline.inks.ink.INK_SCHEMA`), written by ingest, read by others."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.artifacts.files import open_parquet, write_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import INKS
from latexify.pipeline.inks.ink import INK_SCHEMA, REJECT_SCHEMA, Ink, Rejection, Stroke, StrokeColumns


def part_name(index: int) -> str:
    """File name of part `index`; names sort as indices do up to 99,999."""
    return f"part-{index:05d}.parquet"


def write_part(path: Location, inks: pa.Table) -> None:
    """Write a part: a table of `INK_SCHEMA`."""
    write_parquet(path, inks, floats=["points.list.element"])


def content_hash(strokes: Sequence[Stroke]) -> str:
    """The hash of one ink: see `content_hashes`."""
    return content_hashes(StrokeColumns.of([strokes]))[0]


def content_hashes(strokes: StrokeColumns) -> list[str]:
    """Of each ink (all have strokes), 32 hex digits that say whether two are the same.

    The first of the SHA-256 of the stroke lengths (int32) and all points (float32), little-endian. Points that repeat
    the one before are left out: they draw nothing, and CROHME has the same inks with and without.
    """
    if not len(strokes.num_strokes):
        return []
    points = strokes.points.astype("<f4", copy=False)
    starts = np.cumsum(strokes.stroke_lengths) - strokes.stroke_lengths
    differ = points[1:] != points[:-1]
    moves = np.ones(len(points), dtype=np.bool_)
    np.logical_or(differ[:, 0], differ[:, 1], out=moves[1:])
    moves[starts] = True
    lengths = np.add.reduceat(moves, starts, dtype="<i4")
    last_stroke = np.cumsum(strokes.num_strokes)
    last_point = np.cumsum(lengths)[last_stroke - 1]
    lengths_bytes, points_bytes = lengths.data.cast("B"), points[moves].data.cast("B")
    hashes, stroke, point = [], 0, 0
    for next_stroke, next_point in zip(last_stroke.tolist(), last_point.tolist(), strict=True):
        digest = hashlib.sha256(lengths_bytes[4 * stroke : 4 * next_stroke])
        digest.update(points_bytes[8 * point : 8 * next_point])
        hashes.append(digest.hexdigest()[:32])
        stroke, point = next_stroke, next_point
    return hashes


def ink_table(inks: Sequence[Ink]) -> pa.Table:
    """Rows of `INK_SCHEMA`, in the order given."""
    names = ("key", "split", "label", "normalized_label", "writer", "source")
    texts = {name: [getattr(ink, name) for ink in inks] for name in names}
    return table_of(texts, strokes=StrokeColumns.of([ink.strokes for ink in inks]))


def table_of(texts: Mapping[str, Sequence[str | None]], *, strokes: StrokeColumns) -> pa.Table:
    """Rows of `INK_SCHEMA` from columns.

    texts: key, split, label, normalized_label, writer and source of each ink; strokes: theirs, at least one each.
    """
    columns = {
        **texts,
        "points": _list_column("points", strokes.points.reshape(-1), lengths=2 * strokes.num_points),
        "stroke_lengths": _list_column("stroke_lengths", strokes.stroke_lengths, lengths=strokes.num_strokes),
        "content_hash": content_hashes(strokes),
        "num_strokes": strokes.num_strokes,
        "num_points": strokes.num_points,
    }
    return pa.table({name: columns[name] for name in INK_SCHEMA.names}, schema=INK_SCHEMA)


def _list_column(name: str, values: npt.NDArray[Any], *, lengths: npt.NDArray[np.int32]) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=INK_SCHEMA.field(name).type)


def strokes_of(points: npt.NDArray[np.float32], stroke_lengths: Sequence[int]) -> list[Stroke]:
    """Strokes (views, float32 [num_points, 2]) of one row's `points` (flat) and `stroke_lengths`."""
    bounds = np.cumsum(stroke_lengths)[:-1]
    return list(np.split(points.reshape(-1, 2), bounds))


def inks_of(batch: pa.RecordBatch) -> Iterator[Ink]:
    """The inks of a record batch that has all columns of `INK_SCHEMA`."""
    texts = batch.select(["key", "split", "label", "normalized_label", "writer", "source"]).to_pylist()
    points, lengths = batch.column("points"), batch.column("stroke_lengths")
    for row, text in enumerate(texts):
        strokes = strokes_of(points[row].values.to_numpy(), lengths[row].values.to_numpy())
        yield Ink(strokes=strokes, **text)


def read_inks_manifest(inks: Location) -> Manifest:
    """Manifest of an inks folder; `content["parts"]` lists its parts. Raises LatexifyError where it is not whole."""
    return read_manifest(inks, INKS)


def read_batches(
    inks: Location, *, columns: Sequence[str] | None = None, max_rows: int = 1024
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a whole inks folder in their order, at most `max_rows` at a time, only the `columns` named."""
    for part in read_inks_manifest(inks).content["parts"]:
        with open_parquet(inks / part["name"]) as file:
            yield from file.iter_batches(batch_size=max_rows, columns=columns)


def read_inks(inks: Location) -> Iterator[Ink]:
    """Yield every ink of a whole inks folder in its order, holding one batch in memory."""
    return itertools.chain.from_iterable(map(inks_of, read_batches(inks)))


def rejects_table(rejections: Iterable[Rejection]) -> pa.Table:
    """`REJECT_SCHEMA` rows, in the order given."""
    rows = [(r.key, r.source, r.reason.value, r.detail) for r in rejections]
    columns = zip(*rows, strict=True) if rows else ([] for _ in REJECT_SCHEMA)
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=REJECT_SCHEMA)
