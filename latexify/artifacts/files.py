"""Reading and writing files so that nobody ever sees half of one."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from latexify.artifacts.location import Location, is_local


def write_atomically(path: Location, data: bytes | memoryview) -> None:
    """Write `data` so that the file is there whole or not at all. Makes missing folders.

    On this machine: under a temporary name beside `path`, flushed to the disk, renamed. In an object store one upload
    is atomic.
    """
    if not is_local(path):
        path.write_bytes(bytes(data))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(path)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_of(path: Path) -> Path:
    """The name under which `path` is written before it is whole.

    Always the same: what a killed process leaves there is overwritten when the same file is written again.
    """
    return path.with_name(f".{path.name}.tmp")


def write_json(path: Location, value: object) -> None:
    """Write `value` as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def write_parquet(path: Location, table: pa.Table, *, floats: Sequence[str] = ()) -> None:
    """Write a table as Parquet (zstd), atomically. It is encoded in memory first.

    floats: the columns of floats (``name.list.element`` of a list) that make up most of the table. Their bytes are
    stored apart by place and no column gets a dictionary: 4 % less of CROHME's inks, in two thirds of the time.
    """
    buffer = pa.BufferOutputStream()
    options = {"use_dictionary": False, "use_byte_stream_split": list(floats)} if floats else {}
    pq.write_table(table, buffer, compression="zstd", **options)
    write_atomically(path, memoryview(buffer.getvalue()))


def read_parquet(path: Location, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a table, or the named columns of it. Raises FileNotFoundError, or pyarrow.ArrowInvalid where damaged."""
    with open_parquet(path) as file:
        return file.read(columns=columns)


def open_parquet(path: Location, *, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a Parquet file to read it in pieces; close it, or use it as a context manager.

    dictionaries: columns of few different strings, to be read as Arrow dictionaries, which is faster.

    Raises FileNotFoundError, or pyarrow.ArrowInvalid where it is damaged.
    """
    if is_local(path):
        return pq.ParquetFile(path, read_dictionary=list(dictionaries))
    return pq.ParquetFile(path.path, filesystem=path.fs, read_dictionary=list(dictionaries))
