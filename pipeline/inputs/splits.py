"""Which split an ink belongs to: pure rules that look at one ink at a time, so order and job count cannot matter."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from latexify.common.section import Section
from latexify.pipeline.config import Fraction
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.inputs.keys import path_parts

SplitName = Literal["train", "valid", "test"]

SPLIT_OF_NAME: Mapping[str, SplitName] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
"""Names that folders and annotations give to the splits, in lower case."""

# Written where the writer is not known; MfrDB's "Unknown" stands in for some 160 inks of many hands.
_NO_WRITER = frozenset({"", "-", "?", "anonymous", "n/a", "na", "nan", "none", "null", "undefined", "unknown"})


class InputSplit(Section):
    """All inks of the input are in one split."""

    by: Literal["input"] = "input"
    split: SplitName


class FolderSplit(Section):
    """A component of the member's path decides.

    folders: split by folder name (lower case).
    only: members outside these folders are not inputs at all; otherwise they are rejected.
    """

    by: Literal["folder"] = "folder"
    folders: dict[str, SplitName]
    only: bool


class AnnotationSplit(Section):
    """The value of an annotation decides (`train`, `valid`, `test`, or a usual synonym)."""

    by: Literal["annotation"] = "annotation"
    annotation: str


class HashSplit(Section):
    """A hash of the writer or of the normalised label decides, so that none of them is in two splits.

    Where the writer is not known, the label decides. Raising a fraction moves inks into that split, and none between
    the others than it must.
    """

    by: Literal["hash"] = "hash"
    of: Literal["writer", "label"]
    seed: int
    valid_fraction: Fraction
    test_fraction: Fraction


SplitRule = Annotated[InputSplit | FolderSplit | AnnotationSplit | HashSplit, Field(discriminator="by")]


def known_writer(text: str | None) -> str | None:
    """The writer's name, or None for the ways of saying that there is none."""
    return None if text is None or text.strip().casefold() in _NO_WRITER else text.strip()


def selects(rule: SplitRule, path: str) -> bool:
    """Whether the member at `path` is an input under this rule."""
    return not (isinstance(rule, FolderSplit) and rule.only) or _folder_split(rule, path) is not None


def require_split(
    rule: SplitRule, *, path: str, annotations: Mapping[str, str], writer: str | None, normalized_label: str
) -> SplitName:
    """The split of one ink. Raises UnusableInkError (NO_SPLIT) where the rule does not say."""
    split: SplitName | None
    match rule:
        case InputSplit():
            split = rule.split
        case FolderSplit():
            split = _folder_split(rule, path)
        case AnnotationSplit():
            split = SPLIT_OF_NAME.get(annotations.get(rule.annotation, "").strip().casefold())
        case HashSplit():
            by_writer = rule.of == "writer" and writer is not None
            group = f"writer\0{writer}" if by_writer else f"label\0{normalized_label}"
            split = _hashed_split(rule, group)
    if split is None:
        where = f"annotation {rule.annotation}" if isinstance(rule, AnnotationSplit) else "folder of its path"
        raise UnusableInkError(Reason.NO_SPLIT, f"no {where} names a split")
    return split


def _folder_split(rule: FolderSplit, path: str) -> SplitName | None:
    """The outermost folder that has a split decides."""
    for part in path_parts(path)[:-1]:
        split = rule.folders.get(part.lower())
        if split is not None:
            return split
    return None


def _hashed_split(rule: HashSplit, group: str) -> SplitName:
    digest = hashlib.sha256(f"{rule.seed}\0{group}".encode("utf-8", "surrogatepass")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    if position < rule.test_fraction:
        return "test"
    return "valid" if position < rule.test_fraction + rule.valid_fraction else "train"
