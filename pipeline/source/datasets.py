"""The registry of datasets: for each, its section of params.yaml, the inputs it consists of, and its terms of use.

To add a dataset, see docs/guide/add-a-dataset.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexify.artifacts.location import Location
from latexify.pipeline.config import CrohmeParams, DatasetName, InkmlParams, MathWritingParams, SyntheticParams
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.inputs.inputs import resolve_path
from latexify.pipeline.inputs.scan import InputSpec
from latexify.pipeline.inputs.splits import SPLIT_NAMES, AnnotationSplit, FolderSplit, HashSplit, InputSplit, SplitRule
from latexify.pipeline.source.mathwriting import list_mathwriting

DatasetSection = SyntheticParams | MathWritingParams | CrohmeParams | InkmlParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Facts about data that a model card must state.

    Attributes:
        title: What the data is.
        terms: Terms of use.
        licence: Identifier in the Hugging Face Hub's list (https://huggingface.co/docs/hub/repositories-licenses), None
            if only the user can know it.
    """

    title: str
    terms: str
    licence: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The inputs of a dataset.

    Attributes:
        inputs: Folders and archives.
        labels: Annotation types that may hold the label; the first that an ink has wins.
        writers: The same for the writer.
    """

    inputs: Sequence[InputSpec]
    labels: Sequence[str]
    writers: Sequence[str] = ("writer",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What listing a dataset may depend on, besides its section.

    Attributes:
        seed: Random seed.
        raw: Folder of the datasets that are not generated.
        out: The source folder, for generated inks.
        jobs: Number of parallel workers.
    """

    seed: int
    raw: Location
    out: Path
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset.

    Attributes:
        section: Name of its section of params.yaml.
        list_inputs: Finds, downloads or generates its inputs.
        origin: Facts for the model card.
        uses_seed: Whether its inks depend on the seed, whatever the split rules.
    """

    section: str
    list_inputs: Callable[[Any, Context], Listing]
    origin: Origin
    uses_seed: bool = False


def _list_synthetic(section: SyntheticParams, context: Context) -> Listing:
    from latexify.pipeline.synthesis import generate  # noqa: PLC0415  # fonts and grammar load only if needed

    generate(section, seed=context.seed, out=context.out, jobs=context.jobs)
    return Listing(
        inputs=[
            InputSpec(path=context.out / f"{split}.tar", name=f"{split}.tar", rule=InputSplit(split=SPLIT_NAMES[split]))
            for split in SPLITS
        ],
        labels=["normalizedLabel", "label"],
    )


def _list_mathwriting(published: str) -> Callable[[MathWritingParams, Context], Listing]:
    def list_inputs(section: MathWritingParams, context: Context) -> Listing:
        inputs = [list_mathwriting(section, published=published, raw=context.raw)]
        # `symbols/` does not have normalized labels
        return Listing(inputs=inputs, labels=["normalizedLabel", "label"])

    return list_inputs


def _list_crohme(section: CrohmeParams, context: Context) -> Listing:
    train: SplitRule = InputSplit(split="train")
    if not section.valid and section.valid_fraction:
        train = HashSplit(of="writer", seed=context.seed, valid_fraction=section.valid_fraction, test_fraction=0)
    inputs = [
        *_specs(section.train, rule=train, raw=context.raw),
        *_specs(section.valid, rule=InputSplit(split="valid"), raw=context.raw),
        *_specs(section.test, rule=InputSplit(split="test"), raw=context.raw),
    ]
    return Listing(inputs=inputs, labels=["truth"])


def _list_inkml(section: InkmlParams, context: Context) -> Listing:
    rule: SplitRule
    match section.split_by:
        case "annotation":
            rule = AnnotationSplit(annotation=section.split_annotation)
        case "folder":
            rule = FolderSplit(folders=dict(SPLIT_NAMES), only=False)
        case "writer" | "label":
            rule = HashSplit(
                of=section.split_by,
                seed=context.seed,
                valid_fraction=section.valid_fraction,
                test_fraction=section.test_fraction,
            )
    inputs = _specs(section.paths, rule=rule, raw=context.raw)
    return Listing(inputs=inputs, labels=section.label_annotations, writers=section.writer_annotations)


def _specs(paths: Sequence[str], *, rule: SplitRule, raw: Location) -> list[InputSpec]:
    return [InputSpec(path=resolve_path(path, raw=raw), name=path, rule=rule) for path in paths]


MATHWRITING_ORIGIN = Origin(
    title="MathWriting (Google Research, 2024): handwritten expressions of several hundred writers, as InkML",
    terms="CC BY-NC-SA 4.0",
    licence="cc-by-nc-sa-4.0",
)

DATASETS: Mapping[DatasetName, Dataset] = {
    "synthetic": Dataset(
        section="synthetic",
        list_inputs=_list_synthetic,
        origin=Origin(
            title="latexify's synthetic inks: random expressions, set with Hershey's stroke fonts by imaginary writers",
            terms="generated by the project itself (Apache-2.0); no person's handwriting",
            licence="apache-2.0",
        ),
        uses_seed=True,
    ),
    "mathwriting": Dataset(
        section="mathwriting", list_inputs=_list_mathwriting("mathwriting-2024"), origin=MATHWRITING_ORIGIN
    ),
    "mathwriting-excerpt": Dataset(
        section="mathwriting", list_inputs=_list_mathwriting("mathwriting-2024-excerpt"), origin=MATHWRITING_ORIGIN
    ),
    "crohme": Dataset(
        section="crohme",
        list_inputs=_list_crohme,
        origin=Origin(
            title="CROHME, the Competitions on Recognition of Online Handwritten Mathematical Expressions: InkML",
            terms="CC BY-NC-SA 3.0",
            licence="cc-by-nc-sa-3.0",
        ),
    ),
    "inkml": Dataset(
        section="inkml",
        list_inputs=_list_inkml,
        origin=Origin(title="the publisher's own InkML", terms="as the publisher states", licence=None),
    ),
}
"""All datasets, by the name that `dataset` has in ``params.yaml``."""


def section_of(params: Any, dataset: DatasetName) -> Any:
    """Return the section of `params` (fields as in `DatasetParams`) that belongs to a dataset."""
    return getattr(params, DATASETS[dataset].section)
