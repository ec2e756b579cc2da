"""The index of a shard folder: where every sample lies, so that any of them is read without scanning a tar."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shards.errors import LatexifyError
from shards.files import write_parquet
from shards.manifest import read_manifest

INDEX_NAME = "index.parquet"
KIND = "shards"
MADE_BY = "latexify rasterize"

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

    shards: file names in `folder`. shard_ids: int32 [n], positions in `shards`. keys, labels: string arrays [n], labels
    normalised. num_tokens: int32 [n], the end id counted. png_offset … json_bytes: int64 [n], where the members'
    data lies in the shard. sample_crc32, json_crc32: uint32 [n], of the PNG and the ids in one, and of the JSON.
    """

    folder: Path
    split: str
    shards: list[str]
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


def write_index(folder: Path, tables: list[pa.Table]) -> None:
    """Write ``index.parquet`` from the rows of the shards, in the order given.

    Raises LatexifyError where two samples have the same key.
    """
    table = pa.concat_tables([INDEX_SCHEMA.empty_table(), *tables])
    counts = table["key"].value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(repeated):
        raise LatexifyError(f"{len(repeated)} keys name more than one sample, such as {repeated[0].as_py()!r}")
    write_parquet(folder / INDEX_NAME, table)


def open_split(folder: Path, split: str) -> SplitIndex:
    """Open one split of a shard folder: read its manifest and index, and check that its shards are there.

    Raises LatexifyError where the folder is missing, incomplete or not of shards, has no such split or an empty one,
    lacks a shard, or holds one of another size than the manifest says.
    """
    manifest = read_manifest(folder, KIND, made_by=MADE_BY)
    splits = manifest.content["splits"]
    if split not in splits:
        raise LatexifyError(f"{folder} has no split {split!r}: it has {', '.join(splits) or 'none'}")
    if splits[split]["num_samples"] == 0:
        raise LatexifyError(f"split {split!r} in {folder} is empty: see {folder / 'rejects.parquet'} for the reasons")
    shards = splits[split]["shards"]
    for shard in shards:
        _check_size(folder / shard["name"], shard)
    return _read_index(folder, split, [shard["name"] for shard in shards], num_samples=splits[split]["num_samples"])


def _check_size(path: Path, shard: Mapping[str, Any]) -> None:
    try:
        found = os.stat(path).st_size  # noqa: PTH116  # half the cost of Path.stat over hundreds of shards
    except FileNotFoundError:
        raise LatexifyError(f"{path} is missing: run `{MADE_BY}` again") from None
    if found != shard["num_bytes"]:
        raise LatexifyError(f"{path} has {found} bytes, not {shard['num_bytes']}: run `{MADE_BY}` again")


def _read_index(folder: Path, split: str, shards: list[str], *, num_samples: int) -> SplitIndex:
    path = folder / INDEX_NAME
    try:
        table = pq.read_table(path, schema=INDEX_SCHEMA, filters=[("split", "==", split)]).combine_chunks()
    except (FileNotFoundError, pa.ArrowInvalid) as error:
        raise LatexifyError(f"{path} cannot be read ({error}): run `{MADE_BY}` again") from None
    shard_ids = pc.index_in(table["shard"], pa.array(shards, pa.string()))
    if len(table) != num_samples or shard_ids.null_count:
        raise LatexifyError(f"{path} does not match the manifest beside it: run `{MADE_BY}` again")
    return SplitIndex(
        folder=folder,
        split=split,
        shards=shards,
        shard_ids=shard_ids.to_numpy(),
        keys=table["key"].combine_chunks(),
        labels=table["label"].combine_chunks(),
        **{name: table[name].to_numpy() for name in _NUMBERS},
    )
