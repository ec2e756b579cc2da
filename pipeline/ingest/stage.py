"""Stage ``ingest``: InkML to Parquet, in parallel; every input ends as a row or as a rejection.

Workers read what lies open on this machine, and write the parts and their records straight into the draft of the
folder; the main process holds the names of a few chunks (what must be decompressed or fetched: their data) and some 50
bytes of each ink. A run that was killed goes on from its draft: see `latexify.pipeline.ingest.dedup` for its last steps.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from joblib import delayed
from lxml import etree

from latexify.artifacts.draft import BUILD_KEY_NAME, draft_of
from latexify.artifacts.files import read_parquet, write_json
from latexify.artifacts.location import Location, is_local
from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import INKS, MANIFEST_NAME, REJECTS_NAME, SOURCE
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.pipeline.config import IngestParams
from latexify.pipeline.engine.engine import Call, Engine
from latexify.pipeline.ingest.chunks import iter_chunks, read_record, record_name, require_unchanged
from latexify.pipeline.ingest.dedup import DECISION_NAME, Decision, carry_out, decide, read_decision
from latexify.pipeline.ingest.worker import ChunkOutcome, read_chunk, recall_chunk
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.inputs.inputs import SourcePlan
from latexify.pipeline.latex import NORMALIZER_VERSION

INKS_VERSION = 4

_DUPLICATES = frozenset({Reason.DUPLICATE_KEY.value, Reason.DUPLICATE_INK.value, Reason.LEAKED_INK.value})


def run(params: IngestParams, *, source: Path, out: Location, metrics: Location, engine: Engine) -> dict[str, Any]:
    """Read all inputs that the source folder names into `out`, and write the counts to the JSON file `metrics`.

    engine: where the parsing runs; it changes no byte. A run that was interrupted goes on from its draft, see
    `latexify.artifacts.draft`, and ends with the same bytes.

    Raises LatexifyError where the source is missing, changed or damaged, where more than `params.max_reject_fraction` of
    the inputs are rejected (the message names the ``rejects.parquet`` that lists them), or where nothing is left to
    train on.
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
    with draft_of(out, recipe=_draft_recipe(manifest)) as draft:
        decision = _earlier_decision(draft)
        if decision is None:
            decision = decide(draft, _read_all(plan, params=params, source=source, out=draft, engine=engine))
        else:
            require_unchanged(plan, base=source)
        _require_sound(decision.counts, params=params, out=draft)
        carry_out(decision, folder=draft, engine=engine)
        write_json(metrics, decision.counts)
        _finish(draft, replace(manifest, content={**decision.counts, "parts": decision.parts}))
    return dict(decision.counts)


def _draft_recipe(manifest: Manifest) -> str:
    """Fingerprint of all that shapes the parts: the libraries too, but not how many rejections are too many."""
    params = {name: value for name, value in manifest.params.items() if name != "max_reject_fraction"}
    versions = {
        "python": list(sys.version_info[:2]),  # its Unicode tables
        "pyarrow": pa.__version__,
        "libxml2": list(etree.LIBXML_VERSION),
    }
    return replace(manifest, params={**params, "versions": versions}).fingerprint


def _earlier_decision(draft: Location) -> Decision | None:
    """What an interrupted run has decided; one that had nothing left to do but to move the folder leaves a manifest."""
    if not (draft / MANIFEST_NAME).is_file():
        return read_decision(draft)
    content = dict(read_manifest(draft, INKS).content)
    return Decision(parts=content.pop("parts"), counts=content, changes=[])


def _read_all(
    plan: SourcePlan, *, params: IngestParams, source: Path, out: Location, engine: Engine
) -> list[ChunkOutcome]:
    """Parse everything that has no record yet; returns what became of every chunk, in their order."""
    sizes = [item.num_inputs for item in plan.inputs]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    outcomes: list[ChunkOutcome] = []
    num_rejected = 0
    with Progress("ingest", total=total, unit="inks") as progress:
        calls = _calls(plan, params=params, source=source, out=out, read_by_workers=engine.is_here)
        for outcome in engine.run(calls, in_order=False):
            outcomes.append(outcome)
            num_rejected += outcome.num_rejected
            progress.advance(outcome.num_rows + outcome.num_rejected, note=f"{num_rejected} rejected")
    if not outcomes:
        raise LatexifyError(f"{', '.join(item.name for item in plan.inputs)}: no InkML (*.inkml) in there")
    return sorted(outcomes, key=lambda outcome: outcome.index)


def _calls(
    plan: SourcePlan, *, params: IngestParams, source: Path, out: Location, read_by_workers: bool
) -> Iterator[Call]:
    """One call for each chunk; where an interrupted run has left the record of the same chunk, one that looks there."""
    recorded = {path.name for path in out.iterdir()}
    chunks = iter_chunks(plan, base=source, max_file_bytes=params.max_file_bytes, read_by_workers=read_by_workers)
    for chunk in chunks:
        if record_name(chunk.index) in recorded and read_record(out, chunk.index).identity == chunk.identity:
            yield delayed(recall_chunk)(chunk.index, out=out)
            continue
        yield delayed(read_chunk)(chunk, plan=plan, params=params, base=source, out=out)


def _require_sound(counts: Mapping[str, Any], *, params: IngestParams, out: Location) -> None:
    """Refuse to go on with too many rejections, or with nothing to train on."""
    faulty = Counter({reason: number for reason, number in counts["rejected"].items() if reason not in _DUPLICATES})
    rate = faulty.total() / counts["inputs"]
    if rate > params.max_reject_fraction:
        rejects = read_parquet(out / REJECTS_NAME).to_pylist()
        first = next(row for row in rejects if row["reason"] not in _DUPLICATES)
        raise LatexifyError(
            f"{faulty.total()} of {counts['inputs']} inputs are unusable ({rate:.1%}, ingest.max_reject_fraction allows "
            f"{params.max_reject_fraction:.1%}), mostly "
            f"{', '.join(f'{reason} ({number})' for reason, number in faulty.most_common(3))}; "
            f"such as {first['source']}: {first['detail']}; {out / REJECTS_NAME} lists them all"
        )
    if not counts["rows"]["train"]:
        raise LatexifyError(
            f"no ink is in the training split ({counts['rows']}): look at {out / REJECTS_NAME} and at how params.yaml "
            "splits the dataset"
        )


def _finish(draft: Location, manifest: Manifest) -> None:
    """Leave only what belongs to the artifact. The decision goes last: until then it can be carried out again."""
    wanted = {part["name"] for part in manifest.content["parts"]}
    wanted |= {REJECTS_NAME, MANIFEST_NAME, DECISION_NAME, BUILD_KEY_NAME}
    for path in draft.iterdir():
        if path.name not in wanted:
            path.unlink()
    write_manifest(draft, manifest)
    (draft / DECISION_NAME).unlink(missing_ok=True)
