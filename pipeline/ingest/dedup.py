"""The end of ingest: which rows go because they repeat others, what is listed as rejected, and what remains.

Everything is decided first and written down; only then are the parts changed. A run that was killed in between finds
the decision and carries out what is left of it, whatever the parts look like by then.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from latexify.pipeline.ingest.duplicates import Duplicates, digests_of, find_duplicates
from latexify.pipeline.ingest.worker import ChunkOutcome
from latexify.pipeline.inks.ink import REJECT_SCHEMA, SPLITS, Reason
from latexify.pipeline.inks.table import part_name, rejects_table, write_part

DECISION_NAME = "decision.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartChange:
    """Rows to drop from a part that has `num_rows` before."""

    name: str
    num_rows: int
    dropped: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the inks folder will be.

    counts: `inputs`, `rows` by split, `rejected` by reason.
    parts: `name` and `num_rows` of each part that remains.
    changes: what is to be done to the parts as the workers wrote them.
    """

    counts: Mapping[str, Any]
    parts: Sequence[Mapping[str, Any]]
    changes: Sequence[PartChange]


def read_decision(folder: Location) -> Decision | None:
    """The decision that an earlier run wrote into the draft, if it came that far."""
    try:
        content = json.loads((folder / DECISION_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    changes = [PartChange(**change) for change in content.pop("changes")]
    return Decision(**content, changes=changes)


def decide(folder: Location, outcomes: Sequence[ChunkOutcome]) -> Decision:
    """Decide on duplicates among the parts of all chunks, in their order; write the rejections, then the decision."""
    rejects = [rejects_table(read_record(folder, outcome.index).rejections) for outcome in outcomes]
    filled = [outcome for outcome in outcomes if outcome.num_rows]
    chunks = [outcome.index for outcome in filled]
    starts = np.cumsum([0, *(outcome.num_rows for outcome in filled)])
    rows = [outcome.identities for outcome in filled]
    splits = np.concatenate([np.empty(0, np.uint8), *(each.splits for each in rows)])
    keys, contents = (
        np.concatenate([digests_of([]), *digests])
        for digests in ([each.keys for each in rows], [each.contents for each in rows])
    )
    duplicates = find_duplicates(keys, splits=splits, contents=contents)
    rejects.append(_duplicate_rejects(folder, duplicates, chunks=chunks, starts=starts, splits=splits))
    rejected = pa.concat_tables(rejects).combine_chunks()
    write_parquet(folder / REJECTS_NAME, rejected)
    decision = _decision(duplicates, chunks=chunks, starts=starts, splits=splits, rejected=rejected)
    write_json(folder / DECISION_NAME, asdict(decision))
    return decision


def _duplicate_rejects(
    folder: Location,
    duplicates: Duplicates,
    *,
    chunks: Sequence[int],
    starts: npt.NDArray[np.int64],
    splits: npt.NDArray[np.uint8],
) -> pa.Table:
    """A rejection for each row to drop, which names the row that it repeats."""
    rows, kept = duplicates.rows, duplicates.kept
    needed = np.unique(np.concatenate([rows, kept]))
    names = [pa.table({"key": pa.array([], pa.string()), "source": pa.array([], pa.string())})]
    for index, local in _by_chunk(needed, chunks=chunks, starts=starts):
        names.append(read_parquet(folder / part_name(index), columns=["key", "source"]).take(pa.array(local)))
    named = pa.concat_tables([table.cast(names[0].schema) for table in names])
    dropped, repeated = named.take(np.searchsorted(needed, rows)), named.take(np.searchsorted(needed, kept))
    split_names = pa.array(SPLITS)
    same_strokes = pc.binary_join_element_wise(
        "same strokes as ", repeated["key"], " (", split_names.take(pa.array(splits[kept])), ")", ""
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


def _by_chunk(
    rows: npt.NDArray[np.int64], *, chunks: Sequence[int], starts: npt.NDArray[np.int64]
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Of rows in ascending order, those of each chunk, counted from its start; chunks without any are left out."""
    bounds = np.searchsorted(rows, starts)
    for place, index in enumerate(chunks):
        if bounds[place] < bounds[place + 1]:
            yield index, rows[bounds[place] : bounds[place + 1]] - starts[place]


def _decision(
    duplicates: Duplicates,
    *,
    chunks: Sequence[int],
    starts: npt.NDArray[np.int64],
    splits: npt.NDArray[np.uint8],
    rejected: pa.Table,
) -> Decision:
    num_rows = dict(zip(chunks, np.diff(starts).tolist(), strict=True))
    dropped = {index: rows.tolist() for index, rows in _by_chunk(duplicates.rows, chunks=chunks, starts=starts)}
    kept = {index: count - len(dropped.get(index, [])) for index, count in num_rows.items()}
    rows = np.bincount(np.delete(splits, duplicates.rows), minlength=len(SPLITS)).tolist()
    counts = {
        "inputs": sum(kept.values()) + rejected.num_rows,
        "rows": dict(zip(SPLITS, rows, strict=True)),
        "rejected": dict(sorted(Counter(rejected["reason"].to_pylist()).items())),
    }
    return Decision(
        counts=counts,
        parts=[{"name": part_name(index), "num_rows": count} for index, count in kept.items() if count],
        changes=[
            PartChange(name=part_name(index), num_rows=num_rows[index], dropped=rows) for index, rows in dropped.items()
        ],
    )


def carry_out(decision: Decision, *, folder: Location, engine: Engine) -> None:
    """Drop the rows. May be done again after any interruption."""
    calls = (delayed(_drop_rows)(folder / change.name, change=change) for change in decision.changes)
    for _ in engine.run(calls, in_order=False):
        pass


def _drop_rows(path: Location, *, change: PartChange) -> None:
    """Rewrite a part without some of its rows; one that has lost them already is left as it is."""
    num_left = change.num_rows - len(change.dropped)
    if num_left == 0:
        path.unlink(missing_ok=True)
        return
    with open_parquet(path) as file:
        if file.metadata.num_rows == num_left:
            return
        assert file.metadata.num_rows == change.num_rows, f"{path} is not what was decided on"
        table = file.read(use_threads=False)  # the other cores have workers; and each thread would keep memory
    keep = np.ones(change.num_rows, np.bool_)
    keep[list(change.dropped)] = False
    table = table.filter(pa.array(keep))
    write_part(path, table)
    del table
    pa.default_memory_pool().release_unused()  # Arrow would keep what the largest part took
