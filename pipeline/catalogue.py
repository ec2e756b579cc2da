"""The inks folder: strokes and labels as Parquet (`pipeline.ink.INK_SCHEMA`), written by ingest, read by others."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.ink import INK_SCHEMA, REJECT_SCHEMA, Ink, Rejection, Stroke
from shards.files import open_parquet, write_parquet
from shards.manifest import Manifest, read_manifest
from shards.place import Place

INKS_KIND = "inks"
REJECTS_NAME = "rejects.parquet"
PART_PATTERN = "part-*.parquet"


def part_name(index: int) -> str:
    """File name of part `index`; names sort as indices do up to 99,999."""
    return f"part-{index:05d}.parquet"


def content_hash(strokes: Sequence[Stroke]) -> str:
    """First 32 hex digits of the SHA-256 of the stroke lengths (int32) and all points (float32), little-endian.

    Points that repeat the one before are left out: they draw nothing, and CROHME has the same inks with and without.
    """
    points = np.concatenate(strokes).astype("<f4", copy=False)
    starts = np.cumsum([0, *(len(stroke) for stroke in strokes[:-1])])
    moves = np.ones(len(points), dtype=np.bool_)
    np.any(points[1:] != points[:-1], axis=1, out=moves[1:])
    moves[starts] = True
    lengths = np.add.reduceat(moves, starts, dtype="<i4")
    return hashlib.sha256(lengths.tobytes() + points[moves].tobytes()).hexdigest()[:32]


def ink_table(inks: Sequence[Ink]) -> pa.Table:
    """Rows of `INK_SCHEMA`, in the order given."""
    lengths = [[len(stroke) for stroke in ink.strokes] for ink in inks]
    columns = {
        "key": [ink.key for ink in inks],
        "split": [ink.split for ink in inks],
        "label": [ink.label for ink in inks],
        "normalized_label": [ink.normalized_label for ink in inks],
        "points": _points_column(inks),
        "stroke_lengths": lengths,
        "writer": [ink.writer for ink in inks],
        "source": [ink.source for ink in inks],
        "content_hash": [content_hash(ink.strokes) for ink in inks],
        "num_strokes": [len(ink.strokes) for ink in inks],
        "num_points": [sum(row) for row in lengths],
    }
    return pa.table(columns, schema=INK_SCHEMA)


def _points_column(inks: Sequence[Ink]) -> pa.Array:
    strokes = [stroke.reshape(-1) for ink in inks for stroke in ink.strokes]
    values = np.concatenate(strokes).astype(np.float32, copy=False) if strokes else np.empty(0, np.float32)
    sizes = [sum(stroke.size for stroke in ink.strokes) for ink in inks]
    offsets = np.cumsum([0, *sizes], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=INK_SCHEMA.field("points").type)


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


def read_inks_manifest(inks: Place) -> Manifest:
    """Manifest of an inks folder; `content["parts"]` lists its parts. Raises LatexifyError where it is not whole."""
    return read_manifest(inks, INKS_KIND, made_by="latexify ingest")


def read_batches(
    inks: Place, *, columns: Sequence[str] | None = None, max_rows: int = 1024
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a whole inks folder in their order, at most `max_rows` at a time, only the `columns` named."""
    for part in read_inks_manifest(inks).content["parts"]:
        with open_parquet(inks / part["name"]) as file:
            yield from file.iter_batches(batch_size=max_rows, columns=columns)


def read_inks(inks: Place) -> Iterator[Ink]:
    """Yield every ink of a whole inks folder in its order, holding one batch in memory."""
    return itertools.chain.from_iterable(map(inks_of, read_batches(inks)))


def write_rejects(path: Place, rejections: Iterable[Rejection]) -> None:
    """Write `REJECT_SCHEMA` rows, in the order given."""
    rows = [(r.key, r.source, r.reason.value, r.detail) for r in rejections]
    columns = zip(*rows, strict=True) if rows else ([] for _ in REJECT_SCHEMA)
    write_parquet(path, pa.table([pa.array(column, pa.string()) for column in columns], schema=REJECT_SCHEMA))
