"""The sections of ``params.yaml`` that belong to the offline half."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen

from latexify.common.section import Section

DatasetName = Literal["synthetic", "mathwriting", "mathwriting-excerpt", "crohme", "inkml"]
Fraction = Annotated[float, Ge(0), Lt(1)]

MAX_PEN_CHANGE = 0.3
"""By which share variants of an ink may make the pen wider or finer."""


class SyntheticParams(Section):
    """The embedded dataset: random expressions, set with stroke fonts by imaginary writers."""

    num_train: Annotated[int, Ge(1)] = 12_000
    num_valid: Annotated[int, Ge(1)] = 500
    num_test: Annotated[int, Ge(1)] = 500
    num_writers: Annotated[int, Ge(3)] = 800
    """Writers of all splits together; no writer is in two splits."""
    min_tokens: Annotated[int, Ge(1)] = 1
    max_tokens: Annotated[int, Ge(1), Le(200)] = 12
    max_depth: Annotated[int, Ge(0), Le(4)] = 2
    """How deep fractions, roots, scripts and matrices may nest."""


class MathWritingParams(Section):
    """Google's archive, read without unpacking it."""

    archive: str | None = None
    """An archive already on disk, relative to `raw`; downloaded into `raw` where not given."""
    train_folders: Annotated[list[Literal["train", "synthetic", "symbols"]], MinLen(1)] = ["train"]


class CrohmeParams(Section):
    """CROHME: folders or archives of InkML, split by what the user names. Paths are relative to `raw`."""

    train: Annotated[list[str], MinLen(1)] = ["crohme/train.tar.xz"]
    valid: list[str] = []
    test: Annotated[list[str], MinLen(1)] = ["crohme/test2014.tar.xz"]
    valid_fraction: Fraction = 0.05
    """Share of the training writers held out for validation where `valid` is empty."""


class InkmlParams(Section):
    """Any InkML: folders or archives, relative to `raw`."""

    paths: Annotated[list[str], MinLen(1)] = ["inkml"]
    label_annotations: Annotated[list[str], MinLen(1)] = ["normalizedLabel", "truth", "label"]
    """Annotation types that hold the label, the first that is there wins."""
    writer_annotations: list[str] = ["writer"]
    split_by: Literal["annotation", "folder", "writer", "label"] = "label"
    """`annotation`: the value of `split_annotation`. `folder`: a path component named train, valid or test.
    `writer` and `label`: a hash of it decides, so that no writer or label is in two splits."""
    split_annotation: str = "splitTagOriginal"
    valid_fraction: Fraction = 0.05
    test_fraction: Fraction = 0.1


class LabelShares(Section):
    """Where the formulas of composed inks come from, in proportion to these numbers."""

    copied: Annotated[float, Ge(0)] = 1.0
    """Labels of training inks as they are."""
    exchanged: Annotated[float, Ge(0)] = 4.0
    """The same with symbols exchanged for others of their class: digits for digits, letters for letters …"""
    recombined: Annotated[float, Ge(0)] = 3.0
    """The same with a part exchanged for a part of another label."""
    grammar: Annotated[float, Ge(0)] = 1.0
    """The grammar of the synthetic dataset."""
    listed: Annotated[float, Ge(0)] = 2.0
    """The lists in `formulas`; nothing where there are none."""
    boxes: Annotated[float, Ge(0)] = 2.0
    """The formulas in `box_files`; nothing where there are none."""


class ComposedParams(Section):
    """Inks composed of symbols that people wrote: from training inks, for training. Paths are relative to `raw`."""

    num_inks: Annotated[int, Ge(0)] = 0
    """How many are added to the training split; 0: none."""
    symbol_files: list[str] = []
    """More symbols: `detexify.jsonl.xz`, or MathWriting's `symbols.jsonl`, which divides the dataset's own inks."""
    stroke_font: bool = False
    """Whether tokens that nobody wrote are set in the stroke font of the synthetic dataset."""
    box_files: list[str] = []
    """Formulas that are laid out: MathWriting's `synthetic-bboxes.jsonl`."""
    formulas: list[str] = []
    """Lists of LaTeX formulas, one a line, plain or compressed (gzip, bzip2, xz)."""
    label_mix: LabelShares = LabelShares()
    min_tokens: Annotated[int, Ge(1)] = 1
    max_tokens: Annotated[int, Ge(1), Le(500)] = 60
    """LaTeX tokens of a normalised label, braces included."""
    variation: Annotated[float, Ge(0), Le(2)] = 1.0
    """How much spacing, sizes and slant vary: 1 as among people."""


class IngestParams(Section):
    """Limits of what is taken in."""

    max_reject_fraction: Annotated[float, Ge(0), Le(1)] = 0.02
    """Stop where more than this share of all inputs is rejected (duplicates are not counted against it)."""
    max_file_bytes: Annotated[int, Gt(0)] = 8_000_000
    max_points: Annotated[int, Gt(0)] = 200_000
    max_label_chars: Annotated[int, Gt(0)] = 4_000


class VocabParams(Section):
    """How labels become token ids."""

    tokenizer: Literal["latex", "base"] = "latex"
    """`latex`: one token per LaTeX token of the training labels. `base`: the tokenizer of `model.base`."""
    min_count: Annotated[int, Ge(1)] = 1
    """Tokens rarer than this in the training labels become the unknown token (`latex` only)."""


class RasterizeParams(Section):
    """The picture that the model sees."""

    height_px: Annotated[int, Ge(8), Le(4096)] = 64
    width_px: Annotated[int, Ge(8), Le(4096)] = 256
    margin_px: Annotated[float, Ge(0)] = 2.0
    pen_width_px: Annotated[float, Gt(0)] = 1.5
    max_stroke_px: Annotated[float, Gt(0)] | None = 20.0
    """An ink's usual stroke is drawn at most this large; without a limit every ink fills the canvas."""
    max_tokens: Annotated[int, Ge(1), Le(4096)] = 256
    """Longer labels are rejected from training and counted; evaluation splits keep theirs, whole."""
    samples_per_shard: Annotated[int, Ge(1)] = 1000
    variants: Annotated[int, Ge(1), Le(100)] = 1
    """Drawings of each training ink: the first is the ink as it is, the others are written a little otherwise. Composed
    inks are drawn once."""
    variation: Annotated[float, Ge(0), Le(1)] = 1.0
    """How much variants differ in slant, proportions, rotation, course of the strokes and pen width."""
    stroke_dropout: Fraction = 0.0
    """Probability that a variant lacks a stroke. Its label stays, so this teaches to guess."""

    @property
    def widest_pen_px(self) -> float:
        """The pen at its widest, of all variants."""
        return self.pen_width_px * (1 + MAX_PEN_CHANGE * self.variation * (self.variants > 1))
