"""Stage ``source``: generate, download or list the InkML of datasets, and write the plan that ingest follows."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from latexify.artifacts.draft import sole_writer
from latexify.artifacts.files import write_json, write_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, canonical_json, read_manifest, write_manifest
from latexify.artifacts.names import (
    COMPOSED_DATASET,
    COMPOSED_NAME,
    COUNTS_NAME,
    LABELS_NAME,
    MANIFEST_NAME,
    REJECTS_NAME,
    SOURCE,
)
from latexify.common.progress import notice
from latexify.common.section import Section
from latexify.pipeline.config import ComposedParams, DatasetName
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.inks.table import rejects_table
from latexify.pipeline.inputs.inputs import COMPOSED_NAMES, AnnotationNames, PicturePlan, SourcePlan
from latexify.pipeline.inputs.pictures import write_labels
from latexify.pipeline.inputs.scan import InputSpec, require_distinct, scan_inputs
from latexify.pipeline.inputs.splits import HashSplit, HeldOutSplit, InputSplit
from latexify.pipeline.source.datasets import DATASETS, Context, Listing, PictureListing

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
    """Do what :func:`run_datasets` does, for one dataset."""
    run_datasets({dataset: section}, seed=seed, raw=raw, out=out, jobs=jobs, composed=composed)


def run_datasets(  # noqa: PLR0913  # parameters of all stages: sections, locations, engine
    sections: Mapping[DatasetName, Section],
    *,
    seed: int,
    raw: Location,
    out: Path,
    jobs: int,
    composed: ComposedParams | None = None,
) -> None:
    """Write ``out/manifest.json`` (content: `SourcePlan`) and, beside it, the archives of generated inks.

    `sections` are those of the datasets, at least one; their paths are relative to `raw`, or URLs. `jobs` workers
    generate inks. `composed` inks are made of those of the training split. Raises LatexifyError if data is missing,
    damaged, or cannot be downloaded, or if another run is writing the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    with sole_writer(out):
        _write(sections, Context(seed=seed, raw=raw, out=out, jobs=jobs), composed)


def _write(sections: Mapping[DatasetName, Section], context: Context, composed: ComposedParams | None) -> None:
    out = context.out
    for name in (MANIFEST_NAME, COMPOSED_NAME, COUNTS_NAME, LABELS_NAME, REJECTS_NAME):
        (out / name).unlink(missing_ok=True)
    listings = {name: DATASETS[name].list_inputs(section, context) for name, section in sections.items()}
    plan = _plan(listings, out=out)
    params = _identity(sections, listings, seed=context.seed)
    if composed is not None and composed.num_inks:
        plan = _with_composed(plan, composed, context)
        params |= {"seed": context.seed, "composed": composed.identity()}
    inputs = {f"{item.dataset}/{item.name}" if item.dataset else item.name: item.sha256 for item in plan.inputs}
    if plan.pictures is not None:
        inputs[LABELS_NAME] = plan.pictures.labels_sha256
    content = plan.to_content()
    manifest = Manifest(kind=SOURCE.kind, version=SOURCE_VERSION, params=params, inputs=inputs, content=content)
    write_manifest(out, manifest)


def _plan(listings: Mapping[DatasetName, Listing], *, out: Path) -> SourcePlan:
    """Scan the inputs. Those of several datasets get keys that begin with the name of theirs, so that none collide."""
    with_pictures = [name for name, listing in listings.items() if listing.pictures is not None]
    prefix = f"{with_pictures[0]}/" if with_pictures and len(listings) > 1 else ""
    pictures = [
        _write_labels(listing.pictures, key_prefix=prefix, out=out) for listing in listings.values() if listing.pictures
    ]
    found = pictures[0] if pictures else None  # one dataset has pictures: `images`
    if len(listings) == 1:
        [listing] = listings.values()
        names = AnnotationNames(labels=list(listing.labels), writers=list(listing.writers))
        inputs = scan_inputs(listing.inputs, base=out)
        return SourcePlan(
            inputs=inputs, label_annotations=names.labels, writer_annotations=names.writers, pictures=found
        )
    require_distinct([spec for listing in listings.values() for spec in listing.inputs])
    _compare_label_splits(listings)
    return SourcePlan(
        inputs=[
            item.model_copy(update={"dataset": name, "key_prefix": f"{name}/{item.key_prefix}"})
            for name, listing in listings.items()
            for item in scan_inputs(listing.inputs, base=out)
        ],
        label_annotations=[],
        writer_annotations=[],
        pictures=found,
        datasets={
            name: AnnotationNames(labels=list(listing.labels), writers=list(listing.writers))
            for name, listing in listings.items()
        },
    )


def _compare_label_splits(listings: Mapping[DatasetName, Listing]) -> None:
    """Say so if datasets that are split by label put the same label into different splits."""
    rules = {
        name: spec.rule
        for name, listing in listings.items()
        for spec in listing.inputs
        if isinstance(spec.rule, HashSplit) and spec.rule.of == "label"
    }
    if len({(rule.valid_fraction, rule.test_fraction) for rule in rules.values()}) > 1:
        notice(
            f"source: {' and '.join(rules)} are split by label, but by different fractions, so a label may be in the "
            "training split of one and held out in another: set their valid_fraction and test_fraction alike"
        )


def _identity(
    sections: Mapping[DatasetName, Section], listings: Mapping[DatasetName, Listing], *, seed: int
) -> dict[str, Any]:
    """Return the parameters that shape the folder; the seed only if anything depends on it."""
    rules = [spec.rule for listing in listings.values() for spec in listing.inputs]
    by_hash = any(isinstance(rule, HashSplit | HeldOutSplit) for rule in rules)
    uses_seed = by_hash or any(DATASETS[name].uses_seed for name in sections)
    if len(sections) == 1:
        [(name, section)] = sections.items()
        params = {"dataset": name, **section.identity()}
    else:
        params = {"datasets": {name: section.identity() for name, section in sections.items()}}
    return params | ({"seed": seed} if uses_seed else {})


def _write_labels(pictures: PictureListing, *, key_prefix: str, out: Path) -> PicturePlan:
    """Write the labels of the pictures, and a rejection for each row of a list that is of no picture."""
    rejections = [replace(each, key=key_prefix + each.key) for each in pictures.matched.rejections]
    write_parquet(out / REJECTS_NAME, rejects_table(rejections))
    write_labels(out / LABELS_NAME, pictures.matched.labels)
    sha256 = hashlib.sha256()
    for label in pictures.matched.labels:
        facts = [label.name, dict(label.annotations), label.reason, label.detail]
        sha256.update(canonical_json(facts).encode("utf-8", "surrogateescape") + b"\n")
    for rejection in rejections:
        sha256.update(canonical_json(asdict(rejection)).encode() + b"\n")
    return PicturePlan(
        trace=pictures.trace,
        max_file_bytes=pictures.max_file_bytes,
        labels_sha256=sha256.hexdigest(),
        num_rejections=len(rejections),
    )


def read_plan(source: Path) -> SourcePlan:
    """Read the plan of the source folder. Raises LatexifyError if there is none."""
    manifest = read_manifest(source, SOURCE)
    return SourcePlan.from_content(manifest.content, where=source / MANIFEST_NAME)


def _with_composed(plan: SourcePlan, composed: ComposedParams, context: Context) -> SourcePlan:
    """Return the plan with one more input: inks composed from the training inks of the others, all for training."""
    from latexify.pipeline.synthesis.composed.compose import compose  # noqa: PLC0415  # slow to import, rarely needed

    out = context.out
    if plan.datasets:
        plan = plan.model_copy(update={"datasets": {**plan.datasets, COMPOSED_DATASET: COMPOSED_NAMES}})
    tar = out / COMPOSED_NAME
    engine = Engine(backend="loky", jobs=context.jobs)
    counts = compose(composed, plan=plan, base=out, raw=context.raw, seed=context.seed, out=tar, engine=engine)
    write_json(out / COUNTS_NAME, counts)
    spec = InputSpec(path=tar, name=COMPOSED_NAME, rule=InputSplit(split="train"))
    added = scan_inputs([spec], base=out)  # its keys begin with `composed/` already
    if plan.datasets:
        added = [item.model_copy(update={"dataset": COMPOSED_DATASET}) for item in added]
    return plan.model_copy(update={"inputs": [*plan.inputs, *added]})
