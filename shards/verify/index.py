"""Check the index of a shard folder by itself and against the manifest."""

import hashlib
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from latexify.artifacts.location import Location
from latexify.artifacts.names import INDEX_NAME
from latexify.common.errors import first_line
from latexify.shards.format.index import SCHEMAS
from latexify.shards.verify.shard import Finding, ListedShard

_VARIANT = r"@\d+$"  # end of a variant's key; `@` in a key means nothing else, see docs/reference/shards.md
Rows = npt.NDArray[np.int64]


def read_index(folder: Location, *, sha256: str | None) -> tuple[pa.Table | None, list[str]]:
    """Read the index and return it with a list of problems, or None if it cannot be compared with samples.

    `sha256` is its hash in the manifest, None if the manifest is of an earlier version without it.
    """
    try:
        data = (folder / INDEX_NAME).read_bytes()
        index = pq.read_table(pa.BufferReader(data))
        index.validate(full=True)  # such as text that is not UTF-8
    except (OSError, pa.ArrowException) as error:
        return None, [f"cannot be read ({first_line(error)}); samples cannot be told apart"]
    problems = []
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        problems.append("is not the one of the manifest (its SHA-256 is another)")
    if not any(map(index.schema.equals, SCHEMAS)):
        return None, [*problems, "has other columns; samples cannot be told apart"]
    return index, problems


def rows_by_shard(index: pa.Table, shards: Sequence[ListedShard]) -> list[Rows]:
    """Return the rows of each shard in order, and as a last entry the rows of no listed shard."""
    names = pa.array([shard.name for shard in shards], pa.string())
    numbers = pc.fill_null(pc.index_in(index["shard"], names), len(shards)).to_numpy()
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(1, len(shards) + 1))
    return np.split(order, bounds)


def index_findings(
    index: pa.Table, shards: Sequence[ListedShard], rows: Sequence[Rows], *, datasets: Sequence[str]
) -> Iterator[Finding]:
    """Yield what is wrong with the index itself and in comparison with the manifest, which names `datasets`."""
    *of_shards, others = rows
    if len(others):
        yield Finding(problem=f"{INDEX_NAME}: {len(others)} rows are of shards that the manifest does not name")
    splits = index["split"]
    for shard, of_shard in zip(shards, of_shards, strict=True):
        if len(of_shard) != shard.num_samples:
            problem = f"{len(of_shard)} samples by the index, {shard.num_samples} by the manifest"
            yield Finding(problem=problem, split=shard.split, shard=shard.name)
        if pc.any(pc.not_equal(splits.take(of_shard), shard.split)).as_py():
            yield Finding(problem="the index counts it to another split", split=shard.split, shard=shard.name)
    if len(others) == 0 and not np.array_equal(np.concatenate(of_shards), np.arange(len(index))):
        yield Finding(problem=f"{INDEX_NAME}: its rows are not in the order of the tars")
    named = set(index["dataset"].unique().to_pylist()) if "dataset" in index.column_names else set()
    if not named <= set(datasets) or bool(named) != bool(datasets):
        yield Finding(problem=f"{INDEX_NAME}: its datasets ({_listed(named)}) are not the manifest's")
    yield from _repeated_keys(index)


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _repeated_keys(index: pa.Table) -> Iterator[Finding]:
    """Yield samples with the same key, and inks in two splits; keys of variants differ only after the mark."""
    rows = index.select(["split", "shard", "key"])
    rows = rows.append_column("ink", pc.replace_substring_regex(rows["key"], _VARIANT, ""))
    splits = rows.group_by("ink").aggregate([("split", "count_distinct")])
    leaked = splits.filter(pc.greater(splits["split_count_distinct"], 1))["ink"]
    counts = rows["key"].value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    is_leaked = pc.is_in(rows["ink"], leaked.combine_chunks())
    is_repeated = pc.or_(is_leaked, pc.is_in(rows["key"], repeated))
    for row in rows.append_column("is_leaked", is_leaked).filter(is_repeated).to_pylist():
        problem = "its ink is in two splits" if row["is_leaked"] else "its key names another sample, too"
        yield Finding(problem=problem, split=row["split"], shard=row["shard"], key=row["key"])
