"""Records beside the shards of an unfinished folder: they tell a resumed run what is done, and make up the index."""

import hashlib
import io
import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import Buffer

from latexify.artifacts.draft import RECORDS_NAME
from latexify.artifacts.files import atomic_file, open_parquet
from latexify.artifacts.location import Location, is_local
from latexify.artifacts.names import INDEX_NAME
from latexify.shards.format.index import SCHEMAS
from latexify.shards.format.writer import ShardRecord

_SUFFIX = ".parquet"
_ENTRY = b"latexify.shard"  # in the Parquet file's metadata: JSON with the build key and the `ShardRecord`
_GROUP_ROWS = 8_192  # rows of the index in memory; the main process of `rasterize` grows by that much at its end


def write_record(folder: Location, record: ShardRecord, rows: pa.Table, *, build_key: str) -> None:
    """Write the record of a finished shard, with its rows of the index. Call this after the tar."""
    entry = json.dumps({"recipe": build_key, "note": asdict(record)})
    if is_local(folder):
        (folder / RECORDS_NAME).mkdir(exist_ok=True)
    with atomic_file(record_path(folder, record.name)) as file:
        pq.write_table(rows.replace_schema_metadata({_ENTRY: entry}), file, compression="zstd")


def recorded_shards(folder: Location) -> set[str]:
    """Return the file names of the shards in `folder` that have a record."""
    records = folder / RECORDS_NAME
    if not records.is_dir():
        return set()
    return {path.name.removesuffix(_SUFFIX) for path in records.iterdir() if path.name.endswith(_SUFFIX)}


def record_path(folder: Location, name: str) -> Location:
    """Return the location of the record of the shard `name`."""
    return folder / RECORDS_NAME / f"{name}{_SUFFIX}"


def find_finished(folder: Location, name: str, *, build_key: str) -> ShardRecord | None:
    """Return the record of the shard `name` if it has this build key and the shard is as it says.

    On this machine the shard is hashed; in an object store, whose uploads are atomic and checked, only its size is
    compared.
    """
    try:
        rows = _rows(folder, name)
        entry = json.loads(rows.schema.metadata[_ENTRY])
        record = ShardRecord(**entry["note"])
        same_key = entry["recipe"] == build_key
    except (OSError, pa.ArrowInvalid, ValueError, KeyError, TypeError):  # pyarrow raises OSError for a damaged page
        return None
    matches = same_key and any(map(rows.schema.equals, SCHEMAS)) and len(rows) == record.num_samples
    return record if matches and _is_intact(folder / name, record) else None


def write_index_from_records(folder: Location, names: Iterable[str]) -> dict[str, Any]:
    """Write ``index.parquet`` from the records of these shards, in this order; only a few are in memory at a time.

    Returns what the manifest says of the file: `num_bytes` and `sha256`.
    """
    with atomic_file(folder / INDEX_NAME) as file:
        hashed = _HashedFile(file)
        groups = _groups(_rows(folder, name).replace_schema_metadata(None) for name in names)
        first = next(groups)
        with pq.ParquetWriter(hashed, first.schema, compression="zstd") as writer:
            for group in itertools.chain([first], groups):
                writer.write_table(group, row_group_size=len(group))
                pa.default_memory_pool().release_unused()  # otherwise Arrow keeps the memory of each group
    return {"num_bytes": hashed.tell(), "sha256": hashed.sha256.hexdigest()}


class _HashedFile(io.RawIOBase):
    """Writes to another file, which stays open, and hashes what it writes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._num_bytes = 0
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer) -> int:
        self._file.write(data)
        self.sha256.update(data)
        self._num_bytes += memoryview(data).nbytes
        return memoryview(data).nbytes

    def tell(self) -> int:
        return self._num_bytes


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join tables until they are large enough for a row group, in one chunk, because chunks show in the bytes."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _GROUP_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _rows(folder: Location, name: str) -> pa.Table:
    with open_parquet(record_path(folder, name)) as file:
        return file.read()


def _is_intact(path: Location, record: ShardRecord) -> bool:
    try:
        if path.stat().st_size != record.num_bytes:
            return False
        if not is_local(path):
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == record.sha256
    except FileNotFoundError:
        return False
