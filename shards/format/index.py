"""The index of a shard folder: where each sample is, so that any of them is read without scanning a tar."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.files import open_parquet
from latexify.artifacts.location import Location, is_local, store_trouble
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import DATASETS_KEY, INDEX_NAME, MANIFEST_NAME, SHARDS
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
        # offset and length of the members' data in the tar
        pa.field("png_offset", pa.int64(), nullable=False),
        pa.field("png_bytes", pa.int64(), nullable=False),
        pa.field("ids_offset", pa.int64(), nullable=False),
        pa.field("ids_bytes", pa.int64(), nullable=False),
        pa.field("json_offset", pa.int64(), nullable=False),
        pa.field("json_bytes", pa.int64(), nullable=False),
        # CRC-32 (as zlib's) of the PNG's bytes followed by those of the ids, and of the JSON's bytes
        pa.field("sample_crc32", pa.uint32(), nullable=False),
        pa.field("json_crc32", pa.uint32(), nullable=False),
    ]
)

SIZE_COLUMNS = frozenset({"height_px", "width_px"})
DATASET_COLUMN = "dataset"
_WIDTH, _HEIGHT = (pa.field(name, pa.int32(), nullable=False) for name in ("width_px", "height_px"))
_DATASET = pa.field(DATASET_COLUMN, pa.string(), nullable=False)


def index_schema(params: Mapping[str, Any], *, with_datasets: bool) -> pa.Schema:
    """Return the schema of an index.

    `INDEX_SCHEMA`, and the columns `width_px` if pictures differ in size, `height_px` if they differ in height, and
    `dataset` if there are several datasets.

    Args:
        params: Of the pictures: `width_step_px` and `height_step_px` are None or missing if they are all equal.
        with_datasets: Whether there are several datasets.
    """
    has_heights = params.get("height_step_px") is not None
    schema = INDEX_SCHEMA
    if has_heights or params.get("width_step_px") is not None:
        schema = schema.append(_WIDTH)
    if has_heights:
        schema = schema.append(_HEIGHT)
    return schema.append(_DATASET) if with_datasets else schema


SCHEMAS = tuple(
    index_schema(steps, with_datasets=many)
    for steps in ({}, {"width_step_px": 2}, {"height_step_px": 2})
    for many in (False, True)
)
"""The schemas that an index may have."""
_COLUMNS = SCHEMAS[-1].names

_NUMBERS = [field.name for field in INDEX_SCHEMA if pa.types.is_integer(field.type)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitIndex:
    """All samples of one split, in the order of its shards; a sample's index in these arrays is its row.

    It is cheap to send to a worker process: about 130 bytes per sample. All offsets and lengths are checked.
    """

    folder: Location
    split: str
    height_px: int  # of the highest pictures
    width_px: int  # of the widest pictures
    has_sizes: bool  # whether pictures differ in size
    shards: list[str]  # file names in `folder`
    shard_bytes: list[int]
    shard_sha256: list[str]
    shard_ids: npt.NDArray[np.int32]  # int32 [n], index into `shards`
    keys: pa.StringArray  # string [n]
    labels: pa.StringArray  # string [n], normalised
    num_tokens: npt.NDArray[np.int32]  # int32 [n], with the end id
    png_offset: npt.NDArray[np.int64]  # int64 [n], of the member's data in the shard
    png_bytes: npt.NDArray[np.int64]  # int64 [n]
    ids_offset: npt.NDArray[np.int64]
    ids_bytes: npt.NDArray[np.int64]
    json_offset: npt.NDArray[np.int64]
    json_bytes: npt.NDArray[np.int64]
    sample_crc32: npt.NDArray[np.uint32]  # uint32 [n], of the PNG followed by the ids
    json_crc32: npt.NDArray[np.uint32]  # uint32 [n]
    sizes_px: npt.NDArray[np.int32]  # int32 [n, 2], height and width of each picture
    datasets: tuple[str, ...] = ()  # names of all datasets of the folder, if there are several
    dataset_ids: npt.NDArray[np.int32] | None = None  # int32 [n], index into `datasets`; None if there is only one

    def __len__(self) -> int:
        return len(self.num_tokens)

    def largest_px(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]]) -> tuple[int, int]:
        """Return height and width that hold every picture among these rows, or all if there are none."""
        if not len(rows):
            return self.height_px, self.width_px
        height, width = self.sizes_px[np.asarray(rows, dtype=np.int64)].max(axis=0).tolist()
        return height, width


def open_split(folder: Location, split: str) -> SplitIndex:
    """Open one split of a shard folder, on this machine or in an object store: read the index, check the shards' sizes.

    Raises LatexifyError if the folder is missing, incomplete, not a shard folder, or of an older format; if it has no
    such split or an empty one; if a shard is missing or has another size than the manifest says; if the index does not
    match; or if the object store does not answer.
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
    datasets = tuple(manifest.content.get(DATASETS_KEY, ()))
    table = _read_table(folder / INDEX_NAME, split, has_datasets=bool(datasets))
    # rows of other splits that stand between those of this one get no shard id
    shard_ids = pc.index_in(table["shard"], pa.array([shard["name"] for shard in shards], pa.string()))
    height_px, width_px = manifest.params["height_px"], manifest.params["width_px"]
    schema = index_schema(manifest.params, with_datasets=bool(datasets))
    sizes_px = np.tile(np.array([height_px, width_px], dtype=np.int32), (len(table), 1))
    for column, name in enumerate(("height_px", "width_px")):
        if name in table.column_names:
            sizes_px[:, column] = table[name].to_numpy()
    index = SplitIndex(
        folder=folder,
        split=split,
        height_px=height_px,
        width_px=width_px,
        has_sizes=not SIZE_COLUMNS.isdisjoint(schema.names),
        shards=[shard["name"] for shard in shards],
        shard_bytes=[shard["num_bytes"] for shard in shards],
        shard_sha256=[shard["sha256"] for shard in shards],
        shard_ids=shard_ids.fill_null(-1).to_numpy(),
        keys=table["key"].combine_chunks(),
        labels=table["label"].combine_chunks(),
        **{name: table[name].to_numpy() for name in _NUMBERS},
        sizes_px=sizes_px,
        datasets=datasets,
        dataset_ids=_dataset_ids(table, datasets),
    )
    own_columns = set(SCHEMAS[-1].names) - set(INDEX_SCHEMA.names)
    is_complete = len(index) == splits[split]["num_samples"]
    is_complete &= set(table.column_names) & own_columns == set(schema.names) & own_columns
    if not is_complete or not _lies_within(index):
        problem = "does not match the manifest beside it"
        raise LatexifyError(f"{folder / INDEX_NAME} {problem}: run `{SHARDS.producer}` again")
    return index


def _dataset_ids(table: pa.Table, datasets: Sequence[str]) -> npt.NDArray[np.int32] | None:
    """Return which of `datasets` each row is of, -1 for another one; None if the index does not say."""
    if "dataset" not in table.column_names:
        return None
    ids: npt.NDArray[np.int32] = pc.index_in(table["dataset"], pa.array(datasets, pa.string())).fill_null(-1).to_numpy()
    return ids


def _check_names(shards: Sequence[Mapping[str, Any]], *, where: Location) -> None:
    """Refuse names that would make a reader open, or a cache write, files outside the folder."""
    for shard in shards:
        if not _SHARD_NAME.fullmatch(shard["name"]) or not _SHA256.fullmatch(shard["sha256"]):
            problem = f"names a shard that we never write ({shard['name']!r})"
            raise LatexifyError(f"{where / MANIFEST_NAME} {problem}: run `{SHARDS.producer}` again")


def _check_sizes(folder: Location, shards: Sequence[Mapping[str, Any]]) -> None:
    sizes = _sizes(folder)
    for shard in shards:
        path, num_bytes = folder / shard["name"], shard["num_bytes"]
        if shard["name"] not in sizes:
            raise LatexifyError(f"{path} is missing: run `{SHARDS.producer}` again")
        found = sizes[shard["name"]]
        if found not in {None, num_bytes}:
            raise LatexifyError(f"{path} has {found} bytes, not {num_bytes}: run `{SHARDS.producer}` again")


def _sizes(folder: Location) -> dict[str, int | None]:
    """Return sizes from one listing instead of one request per shard; None if the store has none, as plain HTTP."""
    if is_local(folder):
        return {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.is_file()}
    entries = folder.fs.ls(folder.path, detail=True)
    return {entry["name"].rstrip("/").rpartition("/")[2]: entry["size"] for entry in entries}


def _read_table(path: Location, split: str, *, has_datasets: bool) -> pa.Table:
    """Return the rows of a split; the columns `split`, `shard` and `dataset` are dictionaries."""
    dictionaries = ["split", "shard", *(["dataset"] if has_datasets else [])]
    try:
        with open_parquet(path, dictionaries=dictionaries) as file:
            if not set(INDEX_SCHEMA.names) <= set(file.schema_arrow.names):
                raise LatexifyError(f"{path} was written by an older latexify: run `{SHARDS.producer}` again")
            names = [name for name in _COLUMNS if name in file.schema_arrow.names]
            table = file.read(columns=names)
    except (FileNotFoundError, KeyError, pa.ArrowInvalid) as error:  # KeyError: a column is not there
        raise LatexifyError(f"{path} cannot be read ({error}): run `{SHARDS.producer}` again") from None
    # each split is contiguous, and a slice copies nothing, while a filter would copy all the strings
    rows = np.flatnonzero(pc.equal(table["split"], split).to_numpy())
    return table.slice(rows[0] if len(rows) else 0, len(rows)).combine_chunks()


def _lies_within(index: SplitIndex) -> bool:
    """Whether the members of every sample are in order and within a shard of the manifest."""
    if index.shard_ids.min() < 0 or index.sizes_px.min() < 1:
        return False
    if (index.sizes_px > (index.height_px, index.width_px)).any():
        return False
    if index.dataset_ids is not None and index.dataset_ids.min() < 0:
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
