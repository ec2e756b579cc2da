"""Sections of ``params.yaml`` that belong to the pipeline."""

from typing import Annotated, Literal, get_args

from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf
from pydantic import Field

from latexify.common.section import Later, Section

DatasetName = Literal["synthetic", "mathwriting", "mathwriting-excerpt", "crohme", "inkml", "images"]
Fraction = Annotated[float, Ge(0), Lt(1)]

SECTIONS = {"mathwriting-excerpt": "mathwriting"}
"""Datasets whose section has another name."""

MAX_PEN_CHANGE = 0.3  # fraction by which variants of an ink may widen or narrow the pen
LABEL_ANNOTATIONS = ("normalizedLabel", "truth", "label")  # annotation types that hold the label by default
# default limits of one InkML file
MAX_FILE_BYTES = 8_000_000
MAX_POINTS = 200_000


class DatasetSection(Section):
    """The section of a dataset."""

    def raw_paths(self) -> list[str] | None:
        """Return the files and folders below `raw` that the dataset reads as they are; None: the whole folder."""
        return None


class SyntheticParams(DatasetSection):
    """The built-in dataset: random expressions, typeset with stroke fonts by simulated writers."""

    num_train: Annotated[int, Ge(1)] = 12_000
    num_valid: Annotated[int, Ge(1)] = 500
    num_test: Annotated[int, Ge(1)] = 500
    num_writers: Annotated[int, Ge(3)] = 800
    """Writers in all splits together; no writer is in two splits."""
    min_tokens: Annotated[int, Ge(1)] = 1
    max_tokens: Annotated[int, Ge(1), Le(200)] = 12
    max_depth: Annotated[int, Ge(0), Le(4)] = 2
    """Maximum nesting of fractions, roots, scripts and matrices."""
    several_lines: Annotated[float, Ge(0), Le(1), Later()] = 0.0
    """Fraction of inks of two to four lines: equations one under another, systems, cases and matrices. `min_tokens` to
    `max_tokens` then hold for each line."""

    def raw_paths(self) -> list[str]:
        """Return what the dataset reads below `raw`, see `DatasetSection`."""
        return []


class MathWritingParams(DatasetSection):
    """MathWriting, read from Google's archive without unpacking it."""

    archive: str | None = None
    """An archive already on disk, relative to `raw`; None downloads it into `raw`."""
    train_folders: Annotated[list[Literal["train", "synthetic", "symbols"]], MinLen(1)] = ["train"]

    def raw_paths(self) -> list[str]:
        """Return what the dataset reads below `raw`, see `DatasetSection`."""
        return [] if self.archive is None else [self.archive]  # what is downloaded has a known size


class CrohmeParams(DatasetSection):
    """CROHME: folders or archives of InkML for each split. Paths are relative to `raw`."""

    train: list[str] = ["crohme/train.tar.xz"]
    """May be empty, to evaluate a model on the test inks alone."""
    valid: list[str] = []
    test: Annotated[list[str], MinLen(1)] = ["crohme/test2014.tar.xz"]
    valid_fraction: Fraction = 0.05
    """Fraction of the training writers held out for validation if `valid` is empty."""

    def raw_paths(self) -> list[str]:
        """Return what the dataset reads below `raw`, see `DatasetSection`."""
        return [*self.train, *self.valid, *self.test]


class InkmlParams(DatasetSection):
    """Other InkML: folders or archives, relative to `raw`."""

    paths: Annotated[list[str], MinLen(1)] = ["inkml"]
    label_annotations: Annotated[list[str], MinLen(1)] = list(LABEL_ANNOTATIONS)
    """Annotation types that may hold the label; the first that an ink has wins."""
    writer_annotations: list[str] = ["writer"]
    split_by: Literal["annotation", "folder", "writer", "label"] = "label"
    """`annotation`: by the value of `split_annotation`. `folder`: by a path component named train, valid or test.
    `writer` and `label`: by a hash of it, so that no writer or label is in two splits."""
    split_annotation: str = "splitTagOriginal"
    valid_fraction: Fraction = 0.05
    test_fraction: Fraction = 0.1

    def raw_paths(self) -> list[str]:
        """Return what the dataset reads below `raw`, see `DatasetSection`."""
        return list(self.paths)


class ImagesParams(DatasetSection):
    """Pictures with a list of labels: folders or archives, relative to `raw`."""

    paths: Annotated[list[str], MinLen(1)] = ["images"]
    labels: list[str] = []
    """Lists of labels, relative to `raw`: CSV, TSV, JSON lines or Parquet with columns for file name and LaTeX, lines
    of a name and a label, or the files of im2latex or pix2tex. Empty: they are looked for among the pictures."""
    name_column: str | None = None
    """Column of the file names; None: one with a usual name, such as `file_name` or `image`."""
    label_column: str | None = None
    """Column of the LaTeX; None: one with a usual name, such as `latex` or `label`."""
    writer_column: str = "writer"
    encoding: str | None = None
    """Encoding of the lists, such as `latin-1`; None: UTF-8, or UTF-16 where the file says so."""
    split_by: Literal["column", "file", "folder", "writer", "label"] = "label"
    """`column`: by the value of `split_column`. `file`: by the names of `split_files`, or else of the lists of labels.
    `folder`: by a path component named train, valid or test. `writer` and `label`: by a hash of it."""
    split_column: str = "split"
    split_files: list[str] = []
    """Lists of file names, relative to `raw`, whose own names hold train, valid or test."""
    valid_fraction: Fraction = 0.05
    """Fraction of the writers or labels held out for validation. Otherwise of the training labels, where the split has
    no picture for validation."""
    test_fraction: Fraction = 0.1
    """The same for the test split, for `split_by: writer` or `label`."""
    trace: bool = True
    """Whether pictures are traced to strokes and drawn like ink, or fitted to the canvas as they are."""
    max_file_bytes: Annotated[int, Gt(0)] = 50_000_000
    """Larger pictures are rejected."""

    def raw_paths(self) -> list[str]:
        """Return what the dataset reads below `raw`, see `DatasetSection`."""
        return [*self.paths, *self.labels, *self.split_files]


class LabelShares(Section):
    """Where the formulas of composed inks come from, as relative weights."""

    copied: Annotated[float, Ge(0)] = 1.0
    """Labels of training inks, unchanged."""
    exchanged: Annotated[float, Ge(0)] = 4.0
    """Labels with symbols replaced by others of their class: digits by digits, letters by letters, and so on."""
    recombined: Annotated[float, Ge(0)] = 3.0
    """Labels with a part replaced by a part of another label."""
    grammar: Annotated[float, Ge(0)] = 1.0
    """The grammar of the synthetic dataset."""
    listed: Annotated[float, Ge(0)] = 2.0
    """The lists in `formulas`, if any."""
    boxes: Annotated[float, Ge(0)] = 2.0
    """The formulas in `box_files`, if any."""
    several_lines: Annotated[float, Ge(0), Later()] = 0.0
    """Two to four lines, each from one of the parts above: equations one under another, systems, cases, matrices."""
    symbols: Annotated[float, Ge(0), Later()] = 0.0
    """One symbol alone: half of them as often as in training labels, half each symbol of the other parts equally
    often."""


class ComposedParams(Section):
    """Inks composed of human-written symbols cut from training inks; for training only. Paths are relative to `raw`."""

    num_inks: Annotated[int, Ge(0)] = 0
    """Number of inks added to the training split."""
    symbol_files: list[str] = []
    """More symbols: `detexify.jsonl.xz`, or MathWriting's `symbols.jsonl`, which divides the dataset's own inks."""
    held_out_writers: Annotated[Fraction, Later()] = 0.0
    """Fraction of the writers of `symbol_files` whose symbols are left out, so that a model can be tested on them."""
    stroke_font: bool = False
    """Whether to set tokens that nobody wrote in the stroke font of the synthetic dataset."""
    box_files: list[str] = []
    """Formulas with their layout: MathWriting's `synthetic-bboxes.jsonl`."""
    formulas: list[str] = []
    """Lists of LaTeX formulas, one per line, plain or compressed (gzip, bzip2, xz)."""
    label_mix: LabelShares = LabelShares()
    min_tokens: Annotated[int, Ge(1)] = 1
    max_tokens: Annotated[int, Ge(1), Le(500)] = 60
    """LaTeX tokens of a normalized label, braces included."""
    variation: Annotated[float, Ge(0), Le(2)] = 1.0
    """How much spacing, sizes and slant vary; 1 is as much as between people."""

    def raw_paths(self) -> list[str]:
        """Return the files below `raw` that composing reads."""
        return [*self.symbol_files, *self.box_files, *self.formulas] if self.num_inks else []


class WeightedDataset(Section):
    """One of several datasets of a training."""

    name: DatasetName
    weight: Annotated[float, Gt(0), Le(1000), Field(allow_inf_nan=False)] = 1.0
    """How often each of its training samples comes in an epoch, on average."""


class DatasetParams(Section):
    """Top-level parameters that choose datasets, and the section of each (registry: `pipeline.source.datasets`)."""

    dataset: DatasetName | None = "synthetic"
    datasets: list[WeightedDataset] = []
    """Several datasets in one training, each once, such as `[{name: crohme, weight: 1}, {name: images, weight: 0.5}]`;
    `dataset` is then null. The weight says how often each training sample of it comes in an epoch, on average."""
    seed: Annotated[int, Ge(0)] = 1
    """Random seed of every stage."""
    raw: str = "data/raw"
    """Folder of the datasets that are not generated, relative to ``params.yaml``'s folder."""
    synthetic: SyntheticParams = SyntheticParams()
    mathwriting: MathWritingParams = MathWritingParams()
    crohme: CrohmeParams = CrohmeParams()
    inkml: InkmlParams = InkmlParams()
    images: ImagesParams = ImagesParams()

    @property
    def sections(self) -> dict[DatasetName, DatasetSection]:
        """The section of each dataset in use. Their order does not depend on that in params.yaml."""
        used = {self.dataset, *(item.name for item in self.datasets)}
        return {name: getattr(self, SECTIONS.get(name, name)) for name in get_args(DatasetName) if name in used}

    @property
    def weights(self) -> dict[str, float] | None:
        """The weight of each dataset; None if there is only one."""
        weights = {item.name: item.weight for item in self.datasets}
        return {name: weights[name] for name in self.sections} if len(weights) > 1 else None


class IngestParams(Section):
    """Limits of ingest."""

    max_reject_fraction: Annotated[float, Ge(0), Le(1)] = 0.02
    """Stop if more than this fraction of all inputs, or of those of one of several datasets, is rejected (duplicates do
    not count)."""
    max_file_bytes: Annotated[int, Gt(0)] = MAX_FILE_BYTES
    max_points: Annotated[int, Gt(0)] = MAX_POINTS
    max_label_chars: Annotated[int, Gt(0)] = 4_000


class VocabParams(Section):
    """The tokenizer of the labels."""

    tokenizer: Literal["latex", "latex_and_base", "base"] = "latex"
    """`latex`: one token per LaTeX token of the training labels. `latex_and_base`: these, and the LaTeX tokens of
    `model.base`, so that it forgets no symbol that the labels lack. `base`: the tokenizer of `model.base`."""
    min_count: Annotated[int, Ge(1)] = 1
    """Rarer tokens of the training labels become the unknown token (not with `base`)."""


class RasterizeParams(Section):
    """The pictures that the model reads."""

    height_px: Annotated[int, Ge(8), Le(4096)] = 64
    width_px: Annotated[int, Ge(8), Le(4096)] = 256
    margin_px: Annotated[float, Ge(0)] = 2.0
    pen_width_px: Annotated[float, Gt(0)] = 1.5
    max_stroke_px: Annotated[float, Gt(0)] | None = 20.0
    """Maximum size of an ink's median stroke; None lets every ink fill the canvas."""
    width_step_px: Annotated[Annotated[int, Ge(2), MultipleOf(2)] | None, Later()] = None
    """Cut every picture to the width that its ink needs, in steps of so many pixels, up to `width_px`. Short formulas
    then cost less, and long ones can have a wide canvas. None: all pictures are `width_px` wide."""
    height_step_px: Annotated[Annotated[int, Ge(2), MultipleOf(2)] | None, Later()] = None
    """The same for the height, up to `height_px`: fractions and several lines then need not be drawn smaller."""
    max_tokens: Annotated[int, Ge(1), Le(4096)] = 256
    """Longer labels are rejected from training and counted; evaluation splits keep them."""
    samples_per_shard: Annotated[int, Ge(1)] = 1000
    variants: Annotated[int, Ge(1), Le(100)] = 1
    """Drawings of each training ink: the first is unchanged, the others are distorted. Composed inks are drawn once."""
    variation: Annotated[float, Ge(0), Le(1)] = 1.0
    """How much variants differ in slant, proportions, rotation, stroke shape and pen width."""
    stroke_dropout: Fraction = 0.0
    """Probability that a variant lacks a stroke. The label stays, so this teaches the model to guess."""

    @property
    def widest_pen_px(self) -> float:
        """Return the widest pen width of all variants."""
        return self.pen_width_px * (1 + MAX_PEN_CHANGE * self.variation * (self.variants > 1))
