"""Drop inks that occur more than once, and list all rejections: the last step of ingest.

The plan is written down before any part is changed. A run that was killed in between finds the plan and does what is
left of it, whatever the parts look like by then.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from joblib import delayed

from latexify.artifacts.files import open_parquet, read_parquet, write_json, write_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.names import REJECTS_NAME
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest.chunks import read_record
from latexify.pipeline.inks.ink import SPLITS, Reason, dataset_of
from latexify.pipeline.inks.schemas import REJECT_SCHEMA
from latexify.pipeline.inks.table import part_name, rejects_table, write_part

DEDUP_PLAN_NAME = "decision.json"

# what identifies a row: key and content as 128-bit hashes, and the index of its split in `SPLITS`; 33 bytes, so that
# 100 million rows fit into memory
IDENTITY = np.dtype([("key", np.uint64, 2), ("split", np.uint8), ("content", np.uint64, 2)])
Identities = npt.NDArray[np.void]  # of `IDENTITY`, [num_rows]
Digests = npt.NDArray[np.uint64]  # [num_rows, 2]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkOutcome:
    """What became of chunk `index`: the number of rejections, and the identities of the rows of its part."""

    index: int
    num_rejected: int
    identities: Identities
    dataset: str | None = None  # whose rows they are, if there are several


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """The rows to drop."""

    rows: Rows  # [num_dropped], ascending
    kept: Rows  # the row that each of them repeats, [num_dropped]
    same_key: npt.NDArray[np.bool_]  # whether it repeats the key, not only the strokes; [num_dropped]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChange:
    """Rows to drop from a part that has `num_rows` before."""

    name: str
    num_rows: int
    dropped: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupPlan:
    """The final contents of the inks folder."""

    # `inputs`, `rows` by split, `rejected` by reason; if there are several, the same of each in `datasets`
    counts: Mapping[str, Any]
    parts: Sequence[Mapping[str, Any]]  # `name` and `num_rows` of each part that remains
    changes: Sequence[PartChange]  # to the parts as the workers wrote them


def digests_of(texts: Iterable[str]) -> Digests:
    """Return 128 bits of the BLAKE2b of each text."""
    joined = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def identities_of(rows: pa.Table) -> Identities:
    """Return the identities of rows with `key`, `split` and `content_hash` of `INK_SCHEMA`."""
    identities = np.empty(len(rows), IDENTITY)
    identities["key"] = digests_of(rows["key"].to_pylist())
    identities["split"] = pc.index_in(rows["split"], pa.array(SPLITS)).to_numpy()
    hashes = bytes.fromhex("".join(rows["content_hash"].to_pylist()))
    identities["content"] = np.frombuffer(hashes, np.uint64).reshape(-1, 2)
    return identities


def find_duplicates(identities: Identities) -> Duplicates:
    """Find the rows to drop among all rows of a dataset, in input order.

    - A key that occurred before.
    - The same strokes in two splits: they stay in test rather than valid, and in valid rather than train, so that
      nothing is evaluated on training inks.
    - The same strokes twice in train: the first stays. Valid and test keep theirs, so that scores have the published
      denominators.

    Memory: about 100 bytes per row.
    """
    splits = identities["split"]
    rows = np.arange(len(splits))
    first = _first_of_equal(identities["key"], rows, order=rows)
    candidates = rows[first == rows]
    # SPLITS are in reverse order of precedence
    order = candidates[np.argsort(len(SPLITS) - splits[candidates], kind="stable")]
    kept = _first_of_equal(identities["content"], first, order=order)
    repeats = (kept != rows) & ((splits != splits[kept]) | (splits == SPLITS.index("train")))
    same_key = first != rows
    dropped = rows[same_key | repeats]
    return Duplicates(rows=dropped, kept=kept[dropped], same_key=same_key[dropped])


def _first_of_equal(digests: Digests, default: Rows, *, order: Rows) -> Rows:
    """For each row in `order`, return the first row in that order with the same digest; for others, the default."""
    grouped = order[np.lexsort((digests[order, 1], digests[order, 0]))]
    is_first = np.ones(len(grouped), np.bool_)
    first, second = digests[grouped, 0], digests[grouped, 1]
    is_first[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    result = default.copy()
    result[grouped] = grouped[is_first][np.cumsum(is_first) - 1]
    return result


def read_dedup_plan(folder: Location) -> DedupPlan | None:
    """Read the plan that an interrupted run wrote into the draft, if it got that far."""
    try:
        content = json.loads((folder / DEDUP_PLAN_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    changes = [PartChange(**change) for change in content.pop("changes")]
    return DedupPlan(**content, changes=changes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """All parts of a draft, in order."""

    chunks: Sequence[int]
    starts: Rows  # first row of each part, and the number of rows, [num_parts + 1]
    identities: Identities
    datasets: Sequence[str | None]  # of each part

    @classmethod
    def of(cls, outcomes: Sequence[ChunkOutcome]) -> "_Parts":
        filled = [outcome for outcome in outcomes if len(outcome.identities)]
        return cls(
            chunks=[outcome.index for outcome in filled],
            starts=np.cumsum([0, *(len(outcome.identities) for outcome in filled)]),
            identities=np.concatenate([np.empty(0, IDENTITY), *(outcome.identities for outcome in filled)]),
            datasets=[outcome.dataset for outcome in filled],
        )

    def by_chunk(self, rows: Rows) -> Iterator[tuple[int, Rows]]:
        """Yield the chunks of ascending rows, each with its rows counted from the start of its part."""
        bounds = np.searchsorted(rows, self.starts)
        for index, chunk in enumerate(self.chunks):
            if bounds[index] < bounds[index + 1]:
                yield chunk, rows[bounds[index] : bounds[index + 1]] - self.starts[index]


def plan_dedup(folder: Location, outcomes: Sequence[ChunkOutcome], *, datasets: Sequence[str] = ()) -> DedupPlan:
    """Find duplicates among the parts of all chunks, in their order; write the rejections, then the plan.

    `datasets` are the names of several, which are also counted each by itself.
    """
    rejects = [rejects_table(read_record(folder, outcome.index).rejections) for outcome in outcomes]
    parts = _Parts.of(outcomes)
    duplicates = find_duplicates(parts.identities)
    rejects.append(_duplicate_rejects(folder, duplicates, parts=parts))
    rejected = pa.concat_tables(rejects).combine_chunks()
    write_parquet(folder / REJECTS_NAME, rejected)
    plan = _plan(duplicates, parts=parts, rejected=rejected, datasets=datasets)
    write_json(folder / DEDUP_PLAN_NAME, asdict(plan))
    return plan


def _duplicate_rejects(folder: Location, duplicates: Duplicates, *, parts: _Parts) -> pa.Table:
    """Return a rejection for each row to drop, which names the row that it repeats."""
    rows, kept, splits = duplicates.rows, duplicates.kept, parts.identities["split"]
    needed = np.unique(np.concatenate([rows, kept]))
    empty = pa.array([], pa.string())
    names = [pa.table({"key": empty, "source": empty, "num_strokes": pa.array([], pa.int32())})]
    for chunk, local in parts.by_chunk(needed):
        names.append(
            read_parquet(folder / part_name(chunk), columns=["key", "source", "num_strokes"]).take(pa.array(local))
        )
    named = pa.concat_tables([table.cast(names[0].schema) for table in names])
    dropped, repeated = named.take(np.searchsorted(needed, rows)), named.take(np.searchsorted(needed, kept))
    split_names = pa.array(SPLITS)
    same = pc.if_else(pc.equal(repeated["num_strokes"], 0), "same picture as ", "same strokes as ")
    same_strokes = pc.binary_join_element_wise(
        same, repeated["key"], " (", split_names.take(pa.array(splits[kept])), ")", ""
    )
    same_split = splits[rows] == splits[kept]
    reasons = np.where(same_split, Reason.DUPLICATE_INK.value, Reason.LEAKED_INK.value)
    columns = {
        "key": dropped["key"],
        "source": dropped["source"],
        "reason": pa.array(np.where(duplicates.same_key, Reason.DUPLICATE_KEY.value, reasons), pa.string()),
        "detail": pc.if_else(pa.array(duplicates.same_key), "another input has the same key", same_strokes),
    }
    return pa.table(columns, schema=REJECT_SCHEMA)


def _plan(duplicates: Duplicates, *, parts: _Parts, rejected: pa.Table, datasets: Sequence[str]) -> DedupPlan:
    num_rows = dict(zip(parts.chunks, np.diff(parts.starts).tolist(), strict=True))
    dropped = {chunk: rows.tolist() for chunk, rows in parts.by_chunk(duplicates.rows)}
    kept = {chunk: count - len(dropped.get(chunk, [])) for chunk, count in num_rows.items()}
    splits, reasons = np.delete(parts.identities["split"], duplicates.rows), rejected["reason"].to_pylist()
    counts = _counts(splits, reasons)
    if datasets:
        owners = np.delete(np.repeat(np.array(parts.datasets), np.diff(parts.starts)), duplicates.rows)
        rejected_of: dict[str, list[str]] = {name: [] for name in datasets}
        for key, reason in zip(rejected["key"].to_pylist(), reasons, strict=True):
            rejected_of[dataset_of(key)].append(reason)
        counts["datasets"] = {name: _counts(splits[owners == name], rejected_of[name]) for name in datasets}
    remaining = [{"name": part_name(chunk), "num_rows": count} for chunk, count in kept.items() if count]
    changes = [PartChange(name=part_name(chunk), num_rows=num_rows[chunk], dropped=dropped[chunk]) for chunk in dropped]
    return DedupPlan(counts=counts, parts=remaining, changes=changes)


def _counts(splits: npt.NDArray[np.uint8], reasons: Sequence[str]) -> dict[str, Any]:
    """Count rows and rejections."""
    rows = np.bincount(splits, minlength=len(SPLITS)).tolist()
    return {
        "inputs": len(splits) + len(reasons),
        "rows": dict(zip(SPLITS, rows, strict=True)),
        "rejected": dict(sorted(Counter(reasons).items())),
    }


def apply_plan(plan: DedupPlan, *, folder: Location, engine: Engine) -> None:
    """Drop the rows. Safe to repeat after any interruption."""
    calls = (delayed(_drop_rows)(folder / change.name, change=change) for change in plan.changes)
    for _ in engine.run(calls, in_order=False):
        pass


def _drop_rows(path: Location, *, change: PartChange) -> None:
    """Rewrite a part without the rows to drop, unless that was done already."""
    num_left = change.num_rows - len(change.dropped)
    if num_left == 0:
        path.unlink(missing_ok=True)
        return
    with open_parquet(path) as file:
        if file.metadata.num_rows == num_left:
            return
        assert file.metadata.num_rows == change.num_rows, f"{path} does not have the rows of the plan"
        table = file.read(use_threads=False)  # other cores run workers, and each thread would keep memory
    keep = np.ones(change.num_rows, np.bool_)
    keep[list(change.dropped)] = False
    table = table.filter(pa.array(keep))
    write_part(path, table)
    del table
    pa.default_memory_pool().release_unused()  # Arrow would keep the memory of the largest part
