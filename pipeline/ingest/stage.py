"""Stage ``ingest``: InkML to Parquet, in parallel. Every input becomes a row or a rejection.

Workers read uncompressed local files themselves, and write parts and records into the draft of the inks folder. The
main process holds the names of a few chunks (and their data if it must be decompressed or fetched) and about 50 bytes
per ink. An interrupted run continues from its draft; `latexify.pipeline.ingest.dedup` does the last steps.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
import pyarrow as pa
import scipy
from joblib import delayed
from lxml import etree

from latexify.artifacts.draft import BUILD_KEY_NAME, draft_of
from latexify.artifacts.files import read_parquet, write_json
from latexify.artifacts.location import Location, is_local
from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import FITTED, INKS, MANIFEST_NAME, PICTURES_KEY, REJECTS_NAME, SOURCE
from latexify.common.errors import LatexifyError
from latexify.common.memory import release_free_memory
from latexify.common.progress import Progress, notice
from latexify.pipeline.config import IngestParams
from latexify.pipeline.engine.engine import Call, Engine
from latexify.pipeline.ingest import dedup
from latexify.pipeline.ingest.chunks import iter_chunks, read_record, record_name, require_unchanged
from latexify.pipeline.ingest.dedup import DEDUP_PLAN_NAME, ChunkOutcome, DedupPlan
from latexify.pipeline.ingest.worker import read_chunk, recall_chunk
from latexify.pipeline.inks.ink import Reason, dataset_of
from latexify.pipeline.inputs.inputs import SourcePlan
from latexify.pipeline.latex import NORMALIZER_VERSION

INKS_VERSION = 4

_DUPLICATES = frozenset(
    reason.value for reason in (Reason.DUPLICATE_ROW, Reason.DUPLICATE_KEY, Reason.DUPLICATE_INK, Reason.LEAKED_INK)
)


def run(params: IngestParams, *, source: Path, out: Location, metrics: Location, engine: Engine) -> dict[str, Any]:
    """Parse all inputs of a source folder into an inks folder; return the counts, which also go into `metrics`.

    An interrupted run continues from its draft (`latexify.artifacts.draft`) and ends with the same bytes. The counts
    are `inputs`, `rows` by split and `rejected` by reason, and the same of each in `datasets` if there are several.
    Raises LatexifyError if the source is missing, changed or damaged, if more than `params.max_reject_fraction` of the
    inputs of a dataset are rejected (the message names the ``rejects.parquet`` that lists them), if no row is left, or
    if one of several datasets has no training inks. Without any training inks, a line on stderr says so.
    """
    made_from = read_manifest(source, SOURCE)
    plan = SourcePlan.from_content(made_from.content, where=source / MANIFEST_NAME)
    manifest = Manifest(
        kind=INKS.kind,
        version=INKS_VERSION,
        params=params.model_dump() | {"normalizer_version": NORMALIZER_VERSION},
        inputs={SOURCE.kind: made_from.fingerprint},
    )
    # workers may have another working directory
    source, out = source.absolute(), out.absolute() if is_local(out) else out
    with draft_of(out, build_key=_draft_recipe(manifest, plan)) as draft:
        final = _interrupted_plan(draft)
        if final is None:
            outcomes = _read_all(plan, params=params, source=source, out=draft, engine=engine)
            release_free_memory()  # of the chunks, before the duplicates need as much
            final = dedup.plan_dedup(draft, outcomes, datasets=list(plan.datasets))
        else:
            require_unchanged(plan, base=source)
        _require_sound(final.counts, params=params, out=draft)
        dedup.apply_plan(final, folder=draft, engine=engine)
        write_json(metrics, final.counts)
        _finish(draft, replace(manifest, content={**final.counts, "parts": final.parts, **_pictures(plan)}))
    return dict(final.counts)


def _draft_recipe(manifest: Manifest, plan: SourcePlan) -> str:
    """Return the fingerprint of all that shapes the parts: libraries too, but not `max_reject_fraction`."""
    params = {name: value for name, value in manifest.params.items() if name != "max_reject_fraction"}
    python = list(sys.version_info[:2])  # its Unicode tables
    versions: dict[str, Any] = {"python": python, "pyarrow": pa.__version__, "libxml2": list(etree.LIBXML_VERSION)}
    if plan.pictures is not None:
        versions |= {"numpy": np.__version__, "pillow": PIL.__version__, "scipy": scipy.__version__}
    return replace(manifest, params={**params, "versions": versions}).fingerprint


def _interrupted_plan(draft: Location) -> DedupPlan | None:
    """Read the plan of an interrupted run. If it only had to move the folder, its manifest holds the plan."""
    if not (draft / MANIFEST_NAME).is_file():
        return dedup.read_dedup_plan(draft)
    content = dict(read_manifest(draft, INKS).content)
    content.pop(PICTURES_KEY, None)
    return DedupPlan(parts=content.pop("parts"), counts=content, changes=[])


def _pictures(plan: SourcePlan) -> dict[str, str]:
    """Say in the manifest if there are pictures that are not traced: models must read such pictures, too."""
    return {PICTURES_KEY: FITTED} if plan.pictures is not None and not plan.pictures.trace else {}


def _read_all(
    plan: SourcePlan, *, params: IngestParams, source: Path, out: Location, engine: Engine
) -> list[ChunkOutcome]:
    """Parse everything that has no record yet; return what became of every chunk, in order."""
    sizes = [item.num_inputs for item in plan.inputs] + [plan.pictures.num_rejections if plan.pictures else 0]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    outcomes: list[ChunkOutcome] = []
    num_rejected = 0
    with Progress("ingest", total=total, unit="inks") as progress:
        calls = _calls(plan, params=params, source=source, out=out, read_by_workers=engine.is_here)
        for outcome in engine.run(calls, in_order=False):
            outcomes.append(outcome)
            num_rejected += outcome.num_rejected
            progress.advance(len(outcome.identities) + outcome.num_rejected, note=f"{num_rejected} rejected")
    if not outcomes:
        names = ", ".join(item.name for item in plan.inputs)
        raise LatexifyError(f"{names} hold no InkML (*.inkml): name other paths in params.yaml")
    return sorted(outcomes, key=lambda outcome: outcome.index)


def _calls(
    plan: SourcePlan, *, params: IngestParams, source: Path, out: Location, read_by_workers: bool
) -> Iterator[Call]:
    """Yield a call for each chunk, which recalls the result if an interrupted run recorded the same chunk."""
    recorded = {path.name for path in out.iterdir()}
    chunks = iter_chunks(plan, base=source, max_file_bytes=params.max_file_bytes, read_by_workers=read_by_workers)
    for chunk in chunks:
        if record_name(chunk.index) in recorded and read_record(out, chunk.index).identity == chunk.identity:
            yield delayed(recall_chunk)(chunk.index, dataset=chunk.dataset, out=out)
        else:
            yield delayed(read_chunk)(chunk, plan=plan, params=params, base=source, out=out)


def _require_sound(counts: Mapping[str, Any], *, params: IngestParams, out: Location) -> None:
    """Raise LatexifyError if there are too many rejections, or no inks; say so if there are none to train on."""
    of_each: Mapping[str, Mapping[str, Any]] = counts.get("datasets", {"": counts})
    for name, own in of_each.items():
        _require_few_rejections(own, name=name, params=params, out=out)
    if not any(counts["rows"].values()):
        raise LatexifyError(f"no ink is left of {counts['inputs']} inputs: {out / REJECTS_NAME} lists the reasons")
    if not counts["rows"]["train"]:
        notice(
            f"ingest: no ink is in the training split ({counts['rows']}), so models can be evaluated (predict.model), "
            "but not trained: if that is not wanted, look at how params.yaml splits the dataset"
        )
        return
    for name, own in of_each.items():
        if not own["rows"]["train"]:
            raise LatexifyError(
                f"{name} has no ink in the training split ({own['rows']}), so its weight has no effect: change how "
                "params.yaml splits it, or leave it out of `datasets` and test on it by `latexify evaluate`"
            )


def _require_few_rejections(counts: Mapping[str, Any], *, name: str, params: IngestParams, out: Location) -> None:
    """Raise LatexifyError if too many inputs of a dataset are rejected; `name` is empty if there is only one."""
    if not counts["inputs"]:
        return
    faulty = Counter({reason: number for reason, number in counts["rejected"].items() if reason not in _DUPLICATES})
    fraction = faulty.total() / counts["inputs"]
    if fraction > params.max_reject_fraction:
        rejects = read_parquet(out / REJECTS_NAME).to_pylist()
        own = (row for row in rejects if not name or dataset_of(row["key"]) == name)
        first = next(row for row in own if row["reason"] not in _DUPLICATES)
        of = f" of {name}" if name else ""
        raise LatexifyError(
            f"{faulty.total()} of {counts['inputs']} inputs{of} are unusable ({fraction:.1%}, "
            f"ingest.max_reject_fraction allows {params.max_reject_fraction:.1%}), mostly "
            f"{', '.join(f'{reason} ({number})' for reason, number in faulty.most_common(3))}; "
            f"such as {first['source']}: {first['detail']}; {out / REJECTS_NAME} lists them all"
        )


def _finish(draft: Location, manifest: Manifest) -> None:
    """Delete what does not belong to the artifact. The plan goes last, since it can be applied again until then."""
    kept = {part["name"] for part in manifest.content["parts"]}
    kept |= {REJECTS_NAME, MANIFEST_NAME, DEDUP_PLAN_NAME, BUILD_KEY_NAME}
    for path in draft.iterdir():
        if path.name not in kept:
            path.unlink()
    write_manifest(draft, manifest)
    (draft / DEDUP_PLAN_NAME).unlink(missing_ok=True)
