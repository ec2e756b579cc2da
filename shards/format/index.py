"""The index of a shard folder: where every sample lies, so that any of them is read without scanning a tar."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from latexify.artifacts.files import open_parquet, write_parquet
from latexify.artifacts.location import Location, is_local, store_trouble
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import INDEX_NAME, MANIFEST_NAME, SHARDS
from latexify.common.errors import LatexifyError

_SHARD_NAME = re.compile(r"[a-z]+-\d{5,}\.tar")
_SHA256 = re.compile(r"[0-9a-f]{64}")

INDEX_SCHEMA = pa.schema(
    [
        pa.field("split", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        # normalised
        pa.field("label", pa.string(), nullable=False),
        pa.field("num_tokens", pa.int32(), nullable=False),
        # where the data of the members lies in the tar, and how long it is
        pa.field("png_offset", pa.int64(), nullable=False),
        pa.field("png_bytes", pa.int64(), nullable=False),
        pa.field("ids_offset", pa.int64(), nullable=False),
        pa.field("ids_bytes", pa.int64(), nullable=False),
        pa.field("json_offset", pa.int64(), nullable=False),
        pa.field("json_bytes", pa.int64(), nullable=False),
        # CRC-32 (as zlib's) of the PNG's bytes and then those of the ids; and of the JSON's
        pa.field("sample_crc32", pa.uint32(), nullable=False),
        pa.field("json_crc32", pa.uint32(), nullable=False),
    ]
)

_NUMBERS = [field.name for field in INDEX_SCHEMA if pa.types.is_integer(field.type)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitIndex:
    """Every sample of one split, in the order of its shards. A sample's number in these arrays is its row.

    shards: file names in `folder`; shard_bytes, shard_sha256: the size and hash of each. height_px, width_px: of every
    picture. shard_ids: int32 [n], positions in `shards`. keys, labels: string arrays [n], labels normalised.
    num_tokens: int32 [n], the end id counted. png_offset … json_bytes: int64 [n], where the members' data lies in the
    shard, checked to lie within it. sample_crc32, json_crc32: uint32 [n], of the PNG and the ids in one, and of the
    JSON. Cheap to send to a worker process: about 130 bytes a sample.
    """

    folder: Location
    split: str
    height_px: int
    width_px: int
    shards: list[str]
    shard_bytes: list[int]
    shard_sha256: list[str]
    shard_ids: npt.NDArray[np.int32]
    keys: pa.StringArray
    labels: pa.StringArray
    num_tokens: npt.NDArray[np.int32]
    png_offset: npt.NDArray[np.int64]
    png_bytes: npt.NDArray[np.int64]
    ids_offset: npt.NDArray[np.int64]
    ids_bytes: npt.NDArray[np.int64]
    json_offset: npt.NDArray[np.int64]
    json_bytes: npt.NDArray[np.int64]
    sample_crc32: npt.NDArray[np.uint32]
    json_crc32: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.num_tokens)


def write_index(folder: Location, tables: list[pa.Table]) -> None:
    """Write ``index.parquet`` from the rows of the shards, in the order given.

    Raises LatexifyError where two samples have the same key.
    """
    table = pa.concat_tables([INDEX_SCHEMA.empty_table(), *tables])
    counts = table["key"].value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(repeated):
        raise LatexifyError(f"{len(repeated)} keys name more than one sample, such as {repeated[0].as_py()!r}")
    write_parquet(folder / INDEX_NAME, table)


def open_split(folder: Location, split: str) -> SplitIndex:
    """Open one split of a shard folder: read its manifest and index, and check that its shards are there.

    folder: on this machine, or a URL that fsspec opens. Raises LatexifyError where it is missing, incomplete, not of
    shards or of an older format, has no such split or an empty one, lacks a shard, holds one of another size than the
    manifest says, or has an index that does not match; or where the store that it lies in does not answer.
    """
    with store_trouble(folder):
        return _open_split(folder, split)


def _open_split(folder: Location, split: str) -> SplitIndex:
    manifest = read_manifest(folder, SHARDS)
    splits = manifest.content["splits"]
    if split not in splits:
        raise LatexifyError(f"{folder} has no split {split!r}: it has {', '.join(splits) or 'none'}")
    if splits[split]["num_samples"] == 0:
        raise LatexifyError(f"split {split!r} in {folder} is empty: see {folder / 'rejects.parquet'} for the reasons")
    shards = splits[split]["shards"]
    _check_names(shards, where=folder)
    _check_sizes(folder, shards)
    table = _read_table(folder / INDEX_NAME, split)
    # of rows that are not one behind the other, those of other splits have no place among these shards
    shard_ids = pc.index_in(table["shard"], pa.array([shard["name"] for shard in shards], pa.string()))
    index = SplitIndex(
        folder=folder,
        split=split,
        height_px=manifest.params["height_px"],
        width_px=manifest.params["width_px"],
        shards=[shard["name"] for shard in shards],
        shard_bytes=[shard["num_bytes"] for shard in shards],
        shard_sha256=[shard["sha256"] for shard in shards],
        shard_ids=shard_ids.fill_null(-1).to_numpy(),
        keys=table["key"].combine_chunks(),
        labels=table["label"].combine_chunks(),
        **{name: table[name].to_numpy() for name in _NUMBERS},
    )
    if len(index) != splits[split]["num_samples"] or not _lies_within(index):
        raise LatexifyError(
            f"{folder / INDEX_NAME} does not match the manifest beside it: run `{SHARDS.producer}` again"
        )
    return index


def _check_names(shards: Sequence[Mapping[str, Any]], *, where: Location) -> None:
    """Refuse a manifest that would have us read, or keep a copy, outside the folder."""
    for shard in shards:
        if not _SHARD_NAME.fullmatch(shard["name"]) or not _SHA256.fullmatch(shard["sha256"]):
            raise LatexifyError(
                f"{where / MANIFEST_NAME} names a shard that we never write ({shard['name']!r}): "
                f"run `{SHARDS.producer}` again"
            )


def _check_sizes(folder: Location, shards: Sequence[Mapping[str, Any]]) -> None:
    found = _local_sizes(folder) if is_local(folder) else _listed_sizes(folder)
    for shard in shards:
        path = folder / shard["name"]
        if shard["name"] not in found:
            raise LatexifyError(f"{path} is missing: run `{SHARDS.producer}` again")
        num_bytes = found[shard["name"]]
        if num_bytes not in {None, shard["num_bytes"]}:
            raise LatexifyError(
                f"{path} has {num_bytes} bytes, not {shard['num_bytes']}: run `{SHARDS.producer}` again"
            )


def _local_sizes(folder: Path) -> dict[str, int | None]:
    return {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.is_file()}


def _listed_sizes(folder: UPath) -> dict[str, int | None]:
    """Sizes from one listing, not from a request for each shard; None where the store does not tell, as plain HTTP."""
    entries = folder.fs.ls(folder.path, detail=True)
    return {entry["name"].rstrip("/").rpartition("/")[2]: entry["size"] for entry in entries}


def _read_table(path: Location, split: str) -> pa.Table:
    """The rows of a split; its columns `split` and `shard` are dictionaries."""
    try:
        with open_parquet(path, dictionaries=("split", "shard")) as file:
            if not set(INDEX_SCHEMA.names) <= set(file.schema_arrow.names):
                raise LatexifyError(f"{path} was written by an older latexify: run `{SHARDS.producer}` again")
            table = file.read(columns=INDEX_SCHEMA.names)
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise LatexifyError(f"{path} cannot be read ({error}): run `{SHARDS.producer}` again") from None
    # the splits stand one behind the other: a slice copies nothing, a filter all the strings
    rows = np.flatnonzero(pc.equal(table["split"], split).to_numpy())
    return table.slice(rows[0] if len(rows) else 0, len(rows)).combine_chunks()


def _lies_within(index: SplitIndex) -> bool:
    """Whether the members of every sample lie one behind the other within a shard of the manifest."""
    if index.shard_ids.min() < 0:
        return False
    shard_bytes = np.array(index.shard_bytes, dtype=np.int64)[index.shard_ids]
    starts = (index.png_offset, index.ids_offset, index.json_offset)
    lengths = (index.png_bytes, index.ids_bytes, index.json_bytes)
    return bool(
        all((start >= 0).all() for start in starts)
        and all((length > 0).all() for length in (*lengths, index.num_tokens))
        and all(
            (length <= end - start).all()
            for start, length, end in zip(starts, lengths, (*starts[1:], shard_bytes), strict=True)
        )
    )
