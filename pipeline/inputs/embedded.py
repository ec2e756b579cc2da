"""Parquet files that hold the pictures themselves, a row for each, as Hugging Face `datasets` writes them."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError, first_line

PARQUET_MAGIC = b"PAR1"
ROWS_AT_ONCE = 64
USUAL_COLUMNS = ("image", "img", "picture", "file", "bytes")
"""Of several columns that may hold pictures, the first of these is taken, or else the first column."""


def is_parquet(path: Location) -> bool:
    """Whether a file is Parquet, by its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return bool(file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC)


def picture_name(file_name: str, row: int) -> str:
    """Return the name that the picture of a row, counted from 0, has as the member of a file."""
    return f"{PurePosixPath(file_name).stem}/{row:08}.png"


def picture_column(schema: pa.Schema) -> str | None:
    """Return the column that holds pictures: a struct with `bytes`, or bytes alone; None if there is none."""
    found = [field.name for field in schema if _bytes_path(field) is not None]
    return next((name for name in USUAL_COLUMNS if name in found), found[0] if found else None)


def open_embedded(file: IO[bytes], *, name: str) -> tuple[pq.ParquetFile, str]:
    """Open a Parquet file that holds pictures; return it and the column of pictures.

    Raises LatexifyError if it is damaged, or no column holds pictures.
    """
    try:
        parquet = pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(name, error) from None
    column = picture_column(parquet.schema_arrow)
    if column is None:
        columns = ", ".join(map(repr, parquet.schema_arrow.names[:20]))
        raise LatexifyError(
            f"{name} holds no pictures (it has the columns {columns}): if it is a list of labels, name the folder of "
            "its pictures in images.paths, and the list in images.labels"
        )
    return parquet, column


def embedded_pictures(file: IO[bytes], *, name: str, with_data: bool) -> Iterator[bytes | None]:
    """Yield the content of the picture of each row, empty where a row has none; None for each if not `with_data`.

    Raises LatexifyError if the file is damaged, or holds no pictures.
    """
    parquet, column = open_embedded(file, name=name)
    if not with_data:
        yield from (None for _ in range(parquet.metadata.num_rows))
        return
    path = _bytes_path(parquet.schema_arrow.field(column))
    assert path is not None, "picture_column chose it"
    batches = parquet.iter_batches(batch_size=ROWS_AT_ONCE, columns=[path])
    while True:
        try:
            batch = next(batches, None)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(name, error) from None
        if batch is None:
            return
        values = batch.column(0)
        contents = pc.struct_field(values, "bytes") if pa.types.is_struct(values.type) else values
        for content in contents:
            yield content.as_py() or b""


def _bytes_path(field: pa.Field) -> str | None:
    """Return the path of a column's bytes in the file; None if it has none."""
    if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
        return str(field.name)
    if pa.types.is_struct(field.type):
        place = field.type.get_field_index("bytes")
        if place >= 0 and _bytes_path(field.type.field(place)) is not None:
            return f"{field.name}.bytes"
    return None


def _damaged(name: str, error: Exception) -> LatexifyError:
    return LatexifyError(f"{name} is no Parquet file, or damaged ({first_line(error)}): fetch it again")
