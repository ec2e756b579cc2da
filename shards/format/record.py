"""Notes beside the shards of an unfinished folder: how a run that goes on knows them, and what the index is made of."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import Buffer

from latexify.artifacts.draft import RECORDS_NAME
from latexify.artifacts.files import open_parquet
from latexify.artifacts.location import Location, is_local
from latexify.artifacts.names import INDEX_NAME
from latexify.shards.format.index import INDEX_SCHEMA
from latexify.shards.format.writer import WrittenShard, whole_file

_SUFFIX = ".parquet"
_ENTRY = b"latexify.shard"
"""Entry of the Parquet file's metadata: recipe and note, as JSON."""

_GROUP_ROWS = 8_192
"""Rows of the index that are in memory at a time: so much does the main process of `rasterize` grow at its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRecord:
    """What is known of a shard that lies whole in its folder. num_tokens: of all its samples together."""

    name: str
    num_samples: int
    num_tokens: int
    num_bytes: int
    sha256: str


def write_sidecar(folder: Location, shard: WrittenShard, *, recipe: str) -> ShardRecord:
    """Note that `shard` lies whole in `folder`, and its rows of the index. Call it after the tar."""
    note = ShardRecord(
        name=shard.name,
        num_samples=shard.num_samples,
        num_tokens=sum(shard.rows["num_tokens"].to_pylist()),
        num_bytes=shard.num_bytes,
        sha256=shard.sha256,
    )
    entry = json.dumps({"recipe": recipe, "note": asdict(note)})
    if is_local(folder):
        (folder / RECORDS_NAME).mkdir(exist_ok=True)
    with whole_file(sidecar_of(folder, shard.name)) as file:
        pq.write_table(shard.rows.replace_schema_metadata({_ENTRY: entry}), file, compression="zstd")
    return note


def recorded_shards(folder: Location) -> set[str]:
    """File names of the shards in `folder` that have a sidecar."""
    notes = folder / RECORDS_NAME
    if not notes.is_dir():
        return set()
    return {path.name.removesuffix(_SUFFIX) for path in notes.iterdir() if path.name.endswith(_SUFFIX)}


def sidecar_of(folder: Location, name: str) -> Location:
    """Where the sidecar of the shard `name` lies."""
    return folder / RECORDS_NAME / f"{name}{_SUFFIX}"


def find_finished(folder: Location, name: str, *, recipe: str) -> ShardRecord | None:
    """What is known of the shard `name`, if it lies in `folder` as its sidecar says and is of this recipe.

    On this machine its content is hashed; of an object in a store, whose upload was atomic and checked, the size is
    compared.
    """
    try:
        rows = _rows(folder, name)
        entry = json.loads(rows.schema.metadata[_ENTRY])
        note = ShardRecord(**entry["note"])
        same_recipe = entry["recipe"] == recipe
    except (OSError, pa.ArrowInvalid, ValueError, KeyError, TypeError):  # OSError: a damaged page, says pyarrow
        return None
    whole = same_recipe and rows.schema.equals(INDEX_SCHEMA) and len(rows) == note.num_samples
    return note if whole and _is_intact(folder / name, note) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenIndex:
    """What the manifest says of the index file."""

    num_bytes: int
    sha256: str


def write_index_of(folder: Location, names: Iterable[str]) -> WrittenIndex:
    """Write ``index.parquet`` from the sidecars of these shards, in this order; only a few are in memory at a time."""
    with whole_file(folder / INDEX_NAME) as file:
        hashed = _HashedFile(file)
        with pq.ParquetWriter(hashed, INDEX_SCHEMA, compression="zstd") as writer:
            for group in _groups(_rows(folder, name).replace_schema_metadata(None) for name in names):
                writer.write_table(group, row_group_size=len(group))
                pa.default_memory_pool().release_unused()  # Arrow would keep what each group took
    return WrittenIndex(num_bytes=hashed.tell(), sha256=hashed.sha256.hexdigest())


class _HashedFile(io.RawIOBase):
    """Writes to another file, which stays open, and hashes on the way."""

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
    """Join tables until they are large enough for a row group. In one piece: how a table is cut shows in the bytes."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _GROUP_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _rows(folder: Location, name: str) -> pa.Table:
    with open_parquet(sidecar_of(folder, name)) as file:
        return file.read()


def _is_intact(path: Location, note: ShardRecord) -> bool:
    try:
        return path.stat().st_size == note.num_bytes and (not is_local(path) or _sha256(path) == note.sha256)
    except FileNotFoundError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
