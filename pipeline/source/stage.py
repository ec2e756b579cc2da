"""Stage ``source``: generate, download or list the InkML of a dataset, and write the plan that ingest follows."""

import hashlib
from dataclasses import asdict
from pathlib import Path

from latexify.artifacts.draft import sole_writer
from latexify.artifacts.files import write_json, write_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, canonical_json, read_manifest, write_manifest
from latexify.artifacts.names import COMPOSED_NAME, COUNTS_NAME, LABELS_NAME, MANIFEST_NAME, REJECTS_NAME, SOURCE
from latexify.common.section import Section
from latexify.pipeline.config import ComposedParams, DatasetName
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.inks.table import rejects_table
from latexify.pipeline.inputs.inputs import PicturePlan, SourcePlan
from latexify.pipeline.inputs.pictures import write_labels
from latexify.pipeline.inputs.scan import InputSpec, scan_inputs
from latexify.pipeline.inputs.splits import HashSplit, HeldOutSplit, InputSplit
from latexify.pipeline.source.datasets import DATASETS, Context, PictureListing

SOURCE_VERSION = 1


def run(  # noqa: PLR0913  # parameters of all stages: section, locations, engine
    section: Section,
    *,
    dataset: DatasetName,
    seed: int,
    raw: Location,
    out: Path,
    jobs: int,
    composed: ComposedParams | None = None,
) -> None:
    """Write ``out/manifest.json`` (content: `SourcePlan`) and, beside it, the archives of generated inks.

    `section` is that of the dataset; its paths are relative to `raw`, or URLs. `jobs` workers generate inks. `composed`
    inks are made of those of the training split. Raises LatexifyError if data is missing, damaged, or cannot be
    downloaded, or if another run is writing the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    with sole_writer(out):
        _write(section, dataset=dataset, seed=seed, raw=raw, out=out, jobs=jobs, composed=composed)


def _write(  # noqa: PLR0913  # parameters of the stage
    section: Section,
    *,
    dataset: DatasetName,
    seed: int,
    raw: Location,
    out: Path,
    jobs: int,
    composed: ComposedParams | None,
) -> None:
    for name in (MANIFEST_NAME, COMPOSED_NAME, COUNTS_NAME, LABELS_NAME, REJECTS_NAME):
        (out / name).unlink(missing_ok=True)
    listing = DATASETS[dataset].list_inputs(section, Context(seed=seed, raw=raw, out=out, jobs=jobs))
    plan = SourcePlan(
        inputs=scan_inputs(listing.inputs, base=out),
        label_annotations=list(listing.labels),
        writer_annotations=list(listing.writers),
        pictures=None if listing.pictures is None else _write_labels(listing.pictures, out=out),
    )
    by_hash = any(isinstance(spec.rule, HashSplit | HeldOutSplit) for spec in listing.inputs)
    uses_seed = DATASETS[dataset].uses_seed or by_hash
    params = {"dataset": dataset, **section.identity()} | ({"seed": seed} if uses_seed else {})
    if composed is not None and composed.num_inks:
        plan = _with_composed(plan, composed, seed=seed, raw=raw, out=out, jobs=jobs)
        params |= {"seed": seed, "composed": composed.identity()}
    inputs = {item.name: item.sha256 for item in plan.inputs}
    if plan.pictures is not None:
        inputs[LABELS_NAME] = plan.pictures.labels_sha256
    content = plan.model_dump()
    manifest = Manifest(kind=SOURCE.kind, version=SOURCE_VERSION, params=params, inputs=inputs, content=content)
    write_manifest(out, manifest)


def _write_labels(pictures: PictureListing, *, out: Path) -> PicturePlan:
    """Write the labels of the pictures, and a rejection for each row of a list that is of no picture."""
    write_parquet(out / REJECTS_NAME, rejects_table(pictures.matched.rejections))
    write_labels(out / LABELS_NAME, pictures.matched.labels)
    sha256 = hashlib.sha256()
    for label in pictures.matched.labels:
        facts = [label.name, dict(label.annotations), label.reason, label.detail]
        sha256.update(canonical_json(facts).encode("utf-8", "surrogateescape") + b"\n")
    for rejection in pictures.matched.rejections:
        sha256.update(canonical_json(asdict(rejection)).encode() + b"\n")
    return PicturePlan(
        trace=pictures.trace,
        max_file_bytes=pictures.max_file_bytes,
        labels_sha256=sha256.hexdigest(),
        num_rejections=len(pictures.matched.rejections),
    )


def read_plan(source: Path) -> SourcePlan:
    """Read the plan of the source folder. Raises LatexifyError if there is none."""
    manifest = read_manifest(source, SOURCE)
    return SourcePlan.from_content(manifest.content, where=source / MANIFEST_NAME)


def _with_composed(  # noqa: PLR0913  # parameters of the stage
    plan: SourcePlan, composed: ComposedParams, *, seed: int, raw: Location, out: Path, jobs: int
) -> SourcePlan:
    """Return the plan with one more input: inks composed from the training inks of the others, all for training."""
    from latexify.pipeline.synthesis.composed.compose import compose  # noqa: PLC0415  # slow to import, rarely needed

    tar = out / COMPOSED_NAME
    engine = Engine(backend="loky", jobs=jobs)
    counts = compose(composed, plan=plan, base=out, raw=raw, seed=seed, out=tar, engine=engine)
    write_json(out / COUNTS_NAME, counts)
    spec = InputSpec(path=tar, name=COMPOSED_NAME, rule=InputSplit(split="train"))
    return plan.model_copy(update={"inputs": [*plan.inputs, *scan_inputs([spec], base=out)]})
