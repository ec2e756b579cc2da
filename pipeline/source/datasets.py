"""The registry of datasets: for each, its section of params.yaml, the inputs it consists of, and its terms of use.

To add a dataset, see docs/guide/add-a-dataset.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from latexify.artifacts.location import Location, is_local
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import (
    CrohmeParams,
    DatasetName,
    ImagesParams,
    InkmlParams,
    MathWritingParams,
    SyntheticParams,
)
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.inputs.inputs import resolve_path
from latexify.pipeline.inputs.pictures import LABEL_ANNOTATION, WRITER_ANNOTATION
from latexify.pipeline.inputs.scan import InputSpec
from latexify.pipeline.inputs.splits import SPLIT_NAMES, AnnotationSplit, FolderSplit, HashSplit, InputSplit, SplitRule
from latexify.pipeline.labels.matching import Matched
from latexify.pipeline.source.download import fetch
from latexify.pipeline.source.pictures import read_pictures, split_rule

# MathWriting-2024 as Google publishes it: ``URL/NAME.tgz``, and the size in bytes of each archive. Source: Gervais et
# al., MathWriting: A Dataset For Handwritten Mathematical Expression Recognition (arXiv:2404.10690), and its readme
MATHWRITING_URL = "https://storage.googleapis.com/mathwriting_data"
MATHWRITING_BYTES = {"mathwriting-2024": 3_096_141_721, "mathwriting-2024-excerpt": 1_620_634}
_LIST_UP_TO_BYTES = 100_000_000  # listing the files of a larger archive would decompress gigabytes an extra time


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Facts about data that a model card must state."""

    title: str  # what the data is
    terms: str  # of use
    # identifier in https://huggingface.co/docs/hub/repositories-licenses; None if only the user can know it
    licence: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureListing:
    """The pictures of a dataset: what to do with them, and their labels in the order of the inputs."""

    trace: bool
    max_file_bytes: int
    matched: Matched


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The inputs of a dataset, and the annotation types that may hold label and writer; an ink's first one wins."""

    inputs: Sequence[InputSpec]
    labels: Sequence[str]
    writers: Sequence[str] = ("writer",)
    pictures: PictureListing | None = None  # None if there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What listing a dataset may depend on, besides its section."""

    seed: int
    raw: Location  # folder of the datasets that are not generated
    out: Path  # the source folder, for generated inks
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset."""

    section: str  # name of its section of params.yaml
    list_inputs: Callable[[Any, Context], Listing]  # finds, downloads or generates its inputs
    origin: Origin
    uses_seed: bool = False  # whether its inks depend on the seed, whatever the split rules


def _list_synthetic(section: SyntheticParams, context: Context) -> Listing:
    from latexify.pipeline.synthesis import generate  # noqa: PLC0415  # fonts and grammar load only if needed

    generate(section, seed=context.seed, out=context.out, jobs=context.jobs)
    names = {f"{split}.tar": InputSplit(split=SPLIT_NAMES[split]) for split in SPLITS}
    inputs = [InputSpec(path=context.out / name, name=name, rule=rule) for name, rule in names.items()]
    return Listing(inputs=inputs, labels=["normalizedLabel", "label"])


def _list_mathwriting(section: MathWritingParams, context: Context, *, published: str) -> Listing:
    """List the archive with its splits and the selected training folders; download it unless the section names one."""
    if section.archive is None:
        path = context.raw / f"{published}.tgz"
        if is_local(path):
            fetch(f"{MATHWRITING_URL}/{published}.tgz", to=path, num_bytes=MATHWRITING_BYTES[published])
    else:
        path = resolve_path(section.archive, raw=context.raw)
    if not path.exists():
        raise LatexifyError(f"mathwriting.archive: {path} does not exist: put it there, or leave it out to download it")
    folders = {"valid": SPLIT_NAMES["valid"], "test": SPLIT_NAMES["test"]}
    rule = FolderSplit(folders=folders | dict.fromkeys(section.train_folders, SPLIT_NAMES["train"]), only=True)
    listed = path.is_dir() or path.stat().st_size <= _LIST_UP_TO_BYTES
    inputs = [InputSpec(path=path, name=path.name, rule=rule, listed=listed)]
    return Listing(inputs=inputs, labels=["normalizedLabel", "label"])  # `symbols/` does not have normalized labels


def _list_crohme(section: CrohmeParams, context: Context) -> Listing:
    train: SplitRule = InputSplit(split="train")
    if not section.valid and section.valid_fraction:
        train = HashSplit(of="writer", seed=context.seed, valid_fraction=section.valid_fraction, test_fraction=0)
    inputs = _specs(section.train, rule=train, raw=context.raw)
    inputs += _specs(section.valid, rule=InputSplit(split="valid"), raw=context.raw)
    inputs += _specs(section.test, rule=InputSplit(split="test"), raw=context.raw)
    return Listing(inputs=inputs, labels=["truth"])


def _list_inkml(section: InkmlParams, context: Context) -> Listing:
    rule: SplitRule
    match section.split_by:
        case "annotation":
            rule = AnnotationSplit(annotation=section.split_annotation)
        case "folder":
            rule = FolderSplit(folders=dict(SPLIT_NAMES), only=False)
        case "writer" | "label" as of:
            valid, test = section.valid_fraction, section.test_fraction
            rule = HashSplit(of=of, seed=context.seed, valid_fraction=valid, test_fraction=test)
    inputs = _specs(section.paths, rule=rule, raw=context.raw)
    return Listing(inputs=inputs, labels=section.label_annotations, writers=section.writer_annotations)


def _list_images(section: ImagesParams, context: Context) -> Listing:
    inputs, matched = read_pictures(section, raw=context.raw)
    rule = split_rule(section, matched.labels, seed=context.seed)
    return Listing(
        inputs=[InputSpec(path=item.path, name=item.name, rule=rule, content="pictures") for item in inputs],
        labels=[LABEL_ANNOTATION],
        writers=[WRITER_ANNOTATION],
        pictures=PictureListing(trace=section.trace, max_file_bytes=section.max_file_bytes, matched=matched),
    )


def _specs(paths: Sequence[str], *, rule: SplitRule, raw: Location) -> list[InputSpec]:
    return [InputSpec(path=resolve_path(path, raw=raw), name=path, rule=rule) for path in paths]


MATHWRITING_ORIGIN = Origin(
    title="MathWriting (Google Research, 2024): handwritten expressions of several hundred writers, as InkML",
    terms="CC BY-NC-SA 4.0",
    licence="cc-by-nc-sa-4.0",
)

# by the name that `dataset` has in ``params.yaml``
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
        section="mathwriting",
        list_inputs=partial(_list_mathwriting, published="mathwriting-2024"),
        origin=MATHWRITING_ORIGIN,
    ),
    "mathwriting-excerpt": Dataset(
        section="mathwriting",
        list_inputs=partial(_list_mathwriting, published="mathwriting-2024-excerpt"),
        origin=MATHWRITING_ORIGIN,
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
    "images": Dataset(
        section="images",
        list_inputs=_list_images,
        origin=Origin(title="the publisher's own labelled pictures", terms="as the publisher states", licence=None),
    ),
}
