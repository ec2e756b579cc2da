"""Read and write the inks folder: Parquet files with the schema `latexify.pipeline.inks.schemas.INK_SCHEMA`."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.artifacts.files import open_parquet, write_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import INKS
from latexify.pipeline.inks.ink import CroppedPicture, Ink, Rejection, StrokeColumns
from latexify.pipeline.inks.schemas import INK_SCHEMA, REJECT_SCHEMA
from latexify.shards.format.png import decode_png


def part_name(index: int) -> str:
    """Return the file name of part `index`. Names sort like indices up to 99,999."""
    return f"part-{index:05d}.parquet"


def write_part(path: Location, inks: pa.Table) -> None:
    """Write a table of `INK_SCHEMA` as a part."""
    write_parquet(path, inks, floats=["points.list.element"])


def content_hashes(strokes: StrokeColumns) -> list[str]:
    """Return a hash of each ink, 32 hex digits; every ink must have strokes.

    It is the beginning of the SHA-256 of the stroke lengths (int32) and all points (float32), little-endian. Points
    that repeat the previous one are left out: they draw nothing, and CROHME has the same inks with and without them.
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


def picture_hash(picture: CroppedPicture) -> str:
    """Return a hash of a picture that is not traced, 32 hex digits.

    It is the beginning of the SHA-256 of its shape and pixels.
    """
    pixels = decode_png(picture.png)
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()[:32]


def table_of(
    texts: Mapping[str, Sequence[str | None]], *, strokes: StrokeColumns, hashes: Sequence[str] | None = None
) -> pa.Table:
    """Return rows of `INK_SCHEMA`: its text columns but the hash, and the strokes of the inks.

    `hashes` are those of the contents; None: each ink has strokes, whose hash it is.
    """
    columns = {
        **texts,
        "points": _list_column("points", strokes.points.reshape(-1), lengths=2 * strokes.num_points),
        "stroke_lengths": _list_column("stroke_lengths", strokes.stroke_lengths, lengths=strokes.num_strokes),
        "content_hash": content_hashes(strokes) if hashes is None else hashes,
        "num_strokes": strokes.num_strokes,
        "num_points": strokes.num_points,
    }
    return pa.table({name: columns[name] for name in INK_SCHEMA.names}, schema=INK_SCHEMA)


def _list_column(name: str, values: npt.NDArray[Any], *, lengths: npt.NDArray[np.int32]) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values), type=INK_SCHEMA.field(name).type)


def inks_of(batch: pa.RecordBatch) -> Iterator[Ink]:
    """Yield the inks of a record batch that has all columns of `INK_SCHEMA`, perhaps of `PICTURE_SCHEMA`."""
    texts = batch.select(["key", "split", "label", "normalized_label", "writer", "source"]).to_pylist()
    points, lengths = batch.column("points"), batch.column("stroke_lengths")
    names = batch.schema.names
    scales = batch["stroke_scale"].to_pylist() if "stroke_scale" in names else [1.0] * len(batch)
    pictures = batch["picture"].to_pylist() if "picture" in names else [None] * len(batch)
    for row, text in enumerate(texts):
        ends = np.cumsum(lengths[row].values.to_numpy())
        strokes = np.split(points[row].values.to_numpy().reshape(-1, 2), ends[:-1]) if len(ends) else []  # views
        scale, picture = scales[row], pictures[row]
        cropped = None if picture is None else CroppedPicture(**picture)
        yield Ink(strokes=strokes, stroke_scale=scale, picture=cropped, **text)


def read_inks_manifest(inks: Location) -> Manifest:
    """Read the manifest of an inks folder; `content["parts"]` lists its parts. Raises LatexifyError if incomplete."""
    return read_manifest(inks, INKS)


def read_batches(
    inks: Location, *, columns: Sequence[str] | None = None, max_rows: int = 1024
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an inks folder in order, at most `max_rows` at a time; None: all columns."""
    for part in read_inks_manifest(inks).content["parts"]:
        with open_parquet(inks / part["name"]) as file:
            yield from file.iter_batches(batch_size=max_rows, columns=columns)


def read_inks(inks: Location) -> Iterator[Ink]:
    """Yield the inks of an inks folder in order, holding one batch in memory."""
    return itertools.chain.from_iterable(map(inks_of, read_batches(inks)))


def rejects_table(rejections: Iterable[Rejection]) -> pa.Table:
    """Return rows of `REJECT_SCHEMA`."""
    return pa.Table.from_pylist([asdict(rejection) for rejection in rejections], schema=REJECT_SCHEMA)
