"""Stage ``ingest``: InkML to Parquet, in parallel; every input ends as a row or as a rejection."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from joblib import Parallel, delayed

from pipeline.catalogue import INKS_KIND, PART_PATTERN, REJECTS_NAME, part_name, write_rejects, write_table
from pipeline.config import IngestParams
from pipeline.duplicates import find_duplicates
from pipeline.ink import SPLITS, Reason, Rejection
from pipeline.inputs import SourcePlan
from pipeline.latex import NORMALIZER_VERSION
from pipeline.reading import ChunkResult, iter_chunks, read_chunk
from pipeline.source import SOURCE_KIND
from shards.errors import LatexifyError
from shards.manifest import MANIFEST_NAME, Manifest, canonical_json, read_manifest, write_atomically, write_manifest
from shards.progress import Progress

INKS_VERSION = 1

_DUPLICATES = frozenset({Reason.DUPLICATE_KEY, Reason.DUPLICATE_INK, Reason.LEAKED_INK})


def run(  # noqa: PLR0913  (the contract of all stages: parameters, then where, then how)
    params: IngestParams, *, source: Path, out: Path, metrics: Path, jobs: int, backend: str = "loky"
) -> dict[str, Any]:
    """Read all inputs that the source folder names into `out`, and write the counts to the JSON file `metrics`.

    jobs, backend: joblib's; neither changes a byte of the output.

    Raises LatexifyError where the source is missing, changed or damaged, where more than `params.max_reject_rate` of the
    inputs are rejected (``rejects.parquet`` is written all the same), or where nothing is left to train on.
    """
    made_from = read_manifest(source, SOURCE_KIND, made_by="latexify source")
    plan = SourcePlan.from_content(made_from.content, where=source / MANIFEST_NAME)
    _clear(out)
    started = time.monotonic()
    results = _read_all(plan, params=params, source=source, out=out, jobs=jobs, backend=backend)
    parts = [result.index for result in results if result.num_rows]
    columns = _key_columns(out, parts)
    duplicates = _duplicates(columns)
    rejections = [rejection for result in results for rejection in result.rejections]
    rejections += [rejection for _, rejection in duplicates]
    write_rejects(out / REJECTS_NAME, rejections)
    kept = _drop_rows(out, parts, rows=[row for row, _ in duplicates])
    num_inputs = sum(result.num_rows + len(result.rejections) for result in results)
    counts = _count(columns, rejections=rejections, dropped=[row for row, _ in duplicates], num_inputs=num_inputs)
    _require_sound(counts, rejections=rejections, params=params, out=out)
    metrics.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(metrics, (canonical_json(counts) + "\n").encode())
    write_manifest(
        out,
        Manifest(
            kind=INKS_KIND,
            version=INKS_VERSION,
            params=params.model_dump() | {"normalizer_version": NORMALIZER_VERSION},
            inputs={SOURCE_KIND: made_from.fingerprint},
            content={**counts, "parts": kept},
        ),
    )
    return counts
