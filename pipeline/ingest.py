"""Stage ``ingest``: InkML to Parquet, in parallel; every input ends as a row or as a rejection."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from joblib import delayed

from pipeline.catalogue import INKS_KIND, PART_PATTERN, REJECTS_NAME, part_name, write_rejects
from pipeline.config import IngestParams
from pipeline.duplicates import find_duplicates
from pipeline.engine import Engine
from pipeline.ink import SPLITS, Reason, Rejection
from pipeline.inputs import SourcePlan
from pipeline.latex import NORMALIZER_VERSION
from pipeline.reading import ChunkResult, iter_chunks, read_chunk
from pipeline.source import SOURCE_KIND
from shards.errors import LatexifyError
from shards.files import write_json, write_parquet
from shards.manifest import MANIFEST_NAME, Manifest, read_manifest, write_manifest
from shards.progress import Progress

INKS_VERSION = 1

_DUPLICATES = frozenset({Reason.DUPLICATE_KEY, Reason.DUPLICATE_INK, Reason.LEAKED_INK})


def run(params: IngestParams, *, source: Path, out: Path, metrics: Path, engine: Engine) -> dict[str, Any]:
    """Read all inputs that the source folder names into `out`, and write the counts to the JSON file `metrics`.

    engine: where the parsing runs; it changes no byte.

    Raises LatexifyError where the source is missing, changed or damaged, where more than `params.max_reject_rate` of
    the inputs are rejected (``rejects.parquet`` is written all the same), or where nothing is left to train on.
    """
    made_from = read_manifest(source, SOURCE_KIND, made_by="latexify source")
    plan = SourcePlan.from_content(made_from.content, where=source / MANIFEST_NAME)
    _clear(out)
    results = _read_all(plan, params=params, source=source, out=out, engine=engine)
    counts, parts = _settle(results, params=params, out=out)
    write_json(metrics, counts)
    recipe = params.model_dump() | {"normalizer_version": NORMALIZER_VERSION}
    write_manifest(
        out,
        Manifest(
            kind=INKS_KIND,
            version=INKS_VERSION,
            params=recipe,
            inputs={SOURCE_KIND: made_from.fingerprint},
            content={**counts, "parts": parts},
        ),
    )
    return counts


def _clear(out: Path) -> None:
    """Remove what an earlier run left, the manifest first: from here on the folder is not whole."""
    out.mkdir(parents=True, exist_ok=True)
    for path in (out / MANIFEST_NAME, out / REJECTS_NAME, *out.glob(PART_PATTERN)):
        path.unlink(missing_ok=True)


def _read_all(plan: SourcePlan, *, params: IngestParams, source: Path, out: Path, engine: Engine) -> list[ChunkResult]:
    """Parse everything; results in the order of the chunks. A few chunks per worker are held in memory, no more."""
    sizes = [item.num_inputs for item in plan.inputs]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    work = (
        delayed(read_chunk)(chunk, plan=plan, params=params, out=out)
        for chunk in iter_chunks(plan, base=source, max_file_bytes=params.max_file_bytes)
    )
    results: list[ChunkResult] = []
    num_rejected = 0
    with Progress("ingest", total=total, unit="inks") as progress:
        for result in engine.run(work, in_order=True):
            results.append(result)
            num_rejected += len(result.rejections)
            progress.advance(result.num_rows + len(result.rejections), note=f"{num_rejected} rejected")
    if not results:
        raise LatexifyError(f"{', '.join(item.name for item in plan.inputs)}: no InkML (*.inkml) in there")
    return results


def _settle(
    results: Sequence[ChunkResult], *, params: IngestParams, out: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Decide on duplicates, write the rejections, drop the rows; returns the counts and the parts that remain."""
    parts = [result.index for result in results if result.num_rows]
    rows = _identities(out, parts)
    splits = rows["split"].to_pylist()
    duplicates = find_duplicates(
        rows["key"].to_pylist(), splits=splits, content_hashes=rows["content_hash"].to_pylist()
    )
    rejections = [rejection for result in results for rejection in result.rejections]
    rejections += _as_rejections(duplicates, rows)
    write_rejects(out / REJECTS_NAME, rejections)
    counts = {
        "inputs": sum(result.num_rows + len(result.rejections) for result in results),
        "rows": _count_kept(splits, dropped=duplicates),
        "rejected": dict(sorted(Counter(rejection.reason.value for rejection in rejections).items())),
    }
    _require_sound(counts, rejections=rejections, params=params, out=out)
    kept = _drop_rows(out, parts, dropped=duplicates)
    assert counts["inputs"] == sum(part["num_rows"] for part in kept) + len(rejections)
    return counts, kept


def _identities(out: Path, parts: Sequence[int]) -> pa.Table:
    """Keys, splits, hashes and sources of all rows, in the order of the parts."""
    columns = ["key", "split", "content_hash", "source"]
    schema = pa.schema([(name, pa.string()) for name in columns])
    tables = [pq.read_table(out / part_name(index), columns=columns).cast(schema) for index in parts]
    return pa.concat_tables([schema.empty_table(), *tables])


def _as_rejections(duplicates: Mapping[int, tuple[Reason, str]], rows: pa.Table) -> list[Rejection]:
    found = sorted(duplicates.items())
    dropped = rows.take([row for row, _ in found] or pa.array([], pa.int64())).to_pylist()
    return [
        Rejection(key=row["key"], source=row["source"], reason=reason, detail=detail)
        for row, (_, (reason, detail)) in zip(dropped, found, strict=True)
    ]


def _count_kept(splits: Sequence[str], *, dropped: Collection[int]) -> dict[str, int]:
    counts = Counter(split for row, split in enumerate(splits) if row not in dropped)
    return {split: counts[split] for split in SPLITS}


def _drop_rows(out: Path, parts: Sequence[int], *, dropped: Collection[int]) -> list[dict[str, Any]]:
    """Rewrite the parts that lose rows; returns name and length of each part that still has some."""
    remaining, first_row = [], 0
    for index in parts:
        path = out / part_name(index)
        num_rows = pq.read_metadata(path).num_rows
        keep = np.array([row not in dropped for row in range(first_row, first_row + num_rows)])
        first_row += num_rows
        if not keep.all():
            write_parquet(path, pq.read_table(path).filter(pa.array(keep)))
        if keep.any():
            remaining.append({"name": path.name, "num_rows": int(keep.sum())})
        else:
            path.unlink()
    return remaining


def _require_sound(
    counts: Mapping[str, Any], *, rejections: Sequence[Rejection], params: IngestParams, out: Path
) -> None:
    """Refuse to go on with too many rejections, or with nothing to train on."""
    faulty = [rejection for rejection in rejections if rejection.reason not in _DUPLICATES]
    rate = len(faulty) / counts["inputs"]
    if rate > params.max_reject_rate:
        reasons = Counter(rejection.reason.value for rejection in faulty).most_common(3)
        raise LatexifyError(
            f"{len(faulty)} of {counts['inputs']} inputs are unusable ({rate:.1%}, ingest.max_reject_rate allows "
            f"{params.max_reject_rate:.1%}), mostly {', '.join(f'{reason} ({number})' for reason, number in reasons)}; "
            f"such as {faulty[0].source}: {faulty[0].detail}; {out / REJECTS_NAME} lists them all"
        )
    if not counts["rows"]["train"]:
        raise LatexifyError(
            f"no ink is in the training split ({counts['rows']}): look at {out / REJECTS_NAME} and at how params.yaml "
            "splits the dataset"
        )
