"""Stage ``source``: get the InkML - generate, download, or list what the user has - and say how to read it."""

from collections.abc import Sequence
from pathlib import Path

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest, write_manifest
from latexify.artifacts.names import COMPOSED_NAME, COUNTS_NAME, MANIFEST_NAME, SOURCE
from latexify.pipeline.config import ComposedParams, CrohmeParams, InkmlParams, MathWritingParams, SyntheticParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.inputs.inputs import SourcePlan, Wanted, located, survey
from latexify.pipeline.inputs.splits import (
    SPLIT_OF_NAME,
    AnnotationSplit,
    FolderSplit,
    HashSplit,
    InputSplit,
    SplitName,
    SplitRule,
)
from latexify.pipeline.source.mathwriting import LABEL_ANNOTATIONS, wanted_mathwriting

SOURCE_VERSION = 1
"""Archive of the composed inks in the source folder, and how their `source` in the catalogue begins."""

DatasetSection = SyntheticParams | MathWritingParams | CrohmeParams | InkmlParams


def run(  # noqa: PLR0913  (the contract of all stages: parameters, then where, then how)
    section: DatasetSection,
    *,
    dataset: str,
    seed: int,
    raw: Location,
    out: Path,
    jobs: int,
    composed: ComposedParams | None = None,
) -> None:
    """Write ``out/manifest.json`` (its content: `SourcePlan`) and, where inks are generated, their archives beside it.

    section: the section of ``params.yaml`` that belongs to `dataset`.
    raw: folder of the datasets that are not generated; paths in `section` are relative to it, or URLs.
    jobs: parallel workers of the generators.
    composed: inks to compose of those of the training split; None: none.

    Raises LatexifyError where data is missing or damaged, or cannot be downloaded.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST_NAME, COMPOSED_NAME, COUNTS_NAME):
        (out / name).unlink(missing_ok=True)
    writers = ["writer"]
    match section:
        case SyntheticParams():
            wanted, labels = _generate(section, seed=seed, out=out, jobs=jobs), LABEL_ANNOTATIONS
        case MathWritingParams():
            wanted, labels = wanted_mathwriting(section, dataset=dataset, raw=raw), LABEL_ANNOTATIONS
        case CrohmeParams():
            wanted, labels = _crohme(section, seed=seed, raw=raw), ["truth"]
        case InkmlParams():
            rule = _inkml_rule(section, seed=seed)
            wanted = _named(section.paths, rule=rule, raw=raw)
            labels, writers = section.label_annotations, section.writer_annotations
    plan = SourcePlan(inputs=survey(wanted, base=out), label_annotations=labels, writer_annotations=writers)
    uses_seed = dataset == "synthetic" or any(isinstance(item.rule, HashSplit) for item in wanted)
    params = {"dataset": dataset, **section.model_dump()} | ({"seed": seed} if uses_seed else {})
    if composed is not None and composed.num_inks:
        plan = _with_composed(plan, composed, seed=seed, raw=raw, out=out, jobs=jobs)
        params |= {"seed": seed, "composed": composed.model_dump()}
    write_manifest(
        out,
        Manifest(
            kind=SOURCE.kind,
            version=SOURCE_VERSION,
            params=params,
            inputs={item.name: item.sha256 for item in plan.inputs},
            content=plan.model_dump(),
        ),
    )


def read_plan(source: Path) -> SourcePlan:
    """The plan that `run` wrote into the folder `source`. Raises LatexifyError where there is none."""
    made = read_manifest(source, SOURCE)
    return SourcePlan.from_content(made.content, where=source / MANIFEST_NAME)


def _generate(section: SyntheticParams, *, seed: int, out: Path, jobs: int) -> list[Wanted]:
    from latexify.pipeline.synthesis import generate  # noqa: PLC0415  (fonts and grammar load only where they are needed)

    generate(section, seed=seed, out=out, jobs=jobs)
    return [
        Wanted(path=out / f"{split}.tar", name=f"{split}.tar", rule=InputSplit(split=SPLIT_OF_NAME[split]))
        for split in SPLITS
    ]


def _with_composed(  # noqa: PLR0913  (what, from what, where to, how)
    plan: SourcePlan, composed: ComposedParams, *, seed: int, raw: Location, out: Path, jobs: int
) -> SourcePlan:
    """The plan with one input more: inks composed of the training inks of the others, all for training."""
    from latexify.pipeline.synthesis.composed.compose import compose  # noqa: PLC0415  (matplotlib loads only where it is needed)

    tar = out / COMPOSED_NAME
    engine = Engine(backend="loky", jobs=jobs)
    counts = compose(composed, plan=plan, base=out, raw=raw, seed=seed, out=tar, engine=engine)
    write_json(out / COUNTS_NAME, counts)
    wanted = Wanted(path=tar, name=COMPOSED_NAME, rule=InputSplit(split="train"))
    return plan.model_copy(update={"inputs": [*plan.inputs, *survey([wanted], base=out)]})


def _crohme(section: CrohmeParams, *, seed: int, raw: Location) -> list[Wanted]:
    carved = HashSplit(of="writer", seed=seed, valid_fraction=section.valid_fraction, test_fraction=0)
    train = InputSplit(split="train") if section.valid or section.valid_fraction == 0 else carved
    return [
        *_named(section.train, rule=train, raw=raw),
        *_named(section.valid, rule=InputSplit(split="valid"), raw=raw),
        *_named(section.test, rule=InputSplit(split="test"), raw=raw),
    ]


def _inkml_rule(section: InkmlParams, *, seed: int) -> SplitRule:
    match section.split_by:
        case "annotation":
            return AnnotationSplit(annotation=section.split_annotation)
        case "folder":
            folders: dict[str, SplitName] = dict(SPLIT_OF_NAME)
            return FolderSplit(folders=folders, only=False)
        case "writer" | "label":
            return HashSplit(
                of=section.split_by,
                seed=seed,
                valid_fraction=section.valid_fraction,
                test_fraction=section.test_fraction,
            )


def _named(paths: Sequence[str], *, rule: SplitRule, raw: Location) -> list[Wanted]:
    return [Wanted(path=located(path, raw=raw), name=path, rule=rule) for path in paths]
