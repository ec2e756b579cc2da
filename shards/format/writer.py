"""Write one shard: a tar whose bytes depend only on its samples."""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from latexify.artifacts.files import atomic_file
from latexify.artifacts.location import Location
from latexify.shards.format.index import DATASET_COLUMN, INDEX_SCHEMA, SIZE_COLUMNS
from latexify.shards.format.png import png_size
from latexify.shards.format.sample import IDS_SUFFIX, JSON_SUFFIX, PNG_SUFFIX, EncodedSample, check_key, encode_ids
from latexify.shards.format.tar import TarWriter

_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRecord:
    """Facts of a finished shard; `num_tokens` is the sum over its samples."""

    name: str
    num_samples: int
    num_tokens: int
    num_bytes: int
    sha256: str


def shard_name(split: str, number: int) -> str:
    """Return the file name of a shard; numbers start at 0."""
    return f"{split}-{number:05d}.tar"


def write_shard(
    folder: Location, *, split: str, number: int, samples: Iterable[EncodedSample], schema: pa.Schema = INDEX_SCHEMA
) -> tuple[ShardRecord, pa.Table]:
    """Write the samples into one tar in `folder`, atomically and in the order given.

    Returns its facts, and its rows of the index in one of its schemas. Raises LatexifyError if a key cannot name a
    member.
    """
    name = shard_name(split, number)
    with atomic_file(folder / name) as file:
        tar = TarWriter(file)
        rows = []
        for sample in samples:
            rows.append({"split": split, "shard": name, **_write_sample(tar, sample)})
            if not SIZE_COLUMNS.isdisjoint(schema.names):
                rows[-1]["width_px"], rows[-1]["height_px"] = png_size(sample.png)
            if DATASET_COLUMN in schema.names:
                rows[-1][DATASET_COLUMN] = sample.dataset
        tar.finish()
    record = ShardRecord(
        name=name,
        num_samples=len(rows),
        num_tokens=sum(row["num_tokens"] for row in rows),
        num_bytes=tar.num_bytes,
        sha256=tar.sha256.hexdigest(),
    )
    return record, pa.Table.from_pylist(rows, schema=schema)


def _write_sample(tar: TarWriter, sample: EncodedSample) -> dict[str, Any]:
    """Append the members of one sample; return its row of the index without split and shard."""
    check_key(sample.key)
    ids = encode_ids(sample.token_ids)
    description = _JSON.encode(dict(sample.description)).encode()
    members = ((PNG_SUFFIX, sample.png), (IDS_SUFFIX, ids), (JSON_SUFFIX, description))
    png_offset, ids_offset, json_offset = tar.append((sample.key + suffix, data) for suffix, data in members)
    return {
        "key": sample.key,
        "label": sample.label,
        "num_tokens": len(sample.token_ids),
        "png_offset": png_offset,
        "png_bytes": len(sample.png),
        "ids_offset": ids_offset,
        "ids_bytes": len(ids),
        "json_offset": json_offset,
        "json_bytes": len(description),
        "sample_crc32": zlib.crc32(ids, zlib.crc32(sample.png)),
        "json_crc32": zlib.crc32(description),
    }
