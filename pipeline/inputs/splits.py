"""Rules that assign an ink to a split.

A rule looks at one ink at a time, so neither order nor the number of workers matters. To add a rule, write a class with
`split_of` and add it to `SplitRule`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from latexify.common.section import Section
from latexify.pipeline.config import Fraction
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason

SplitName = Literal["train", "valid", "test"]

# split by the name of a folder or annotation, in lower case
SPLIT_NAMES: Mapping[str, SplitName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("test", "testing"), "test"),
}

# Placeholders for an unknown writer. "Unknown" in MfrDB covers some 160 inks of many writers.
_NO_WRITER = frozenset({"", "-", "?", "anonymous", "n/a", "na", "nan", "none", "null", "undefined", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class InkFacts:
    """What a split may depend on."""

    path: str  # of the member inside its folder or archive
    annotations: Mapping[str, str]  # of the ink, by type
    writer: str | None  # None if unknown
    normalized_label: str


class _Rule(Section):
    decided_by: ClassVar[str] = "rule"

    def selects(self, path: str) -> bool:  # noqa: ARG002  # rules that select override this
        """Return whether the member at `path` is an input under this rule."""
        return True


class InputSplit(_Rule):
    """Put all inks of an input into one split."""

    by: Literal["input"] = "input"
    split: SplitName

    def split_of(self, ink: InkFacts) -> SplitName | None:  # noqa: ARG002  # same for every ink
        """Return the split of an ink."""
        return self.split


class FolderSplit(_Rule):
    """Split by the outermost folder in the member's path that is listed."""

    decided_by: ClassVar[str] = "folder of its path"
    by: Literal["folder"] = "folder"
    folders: dict[str, SplitName]  # by name in lower case
    only: bool  # ignore members outside these folders; otherwise they are inputs and get rejected

    def selects(self, path: str) -> bool:
        """Return whether the member at `path` is an input under this rule."""
        return not self.only or self._folder_split(path) is not None

    def split_of(self, ink: InkFacts) -> SplitName | None:
        """Return the split of an ink, None if no folder names one."""
        return self._folder_split(ink.path)

    def _folder_split(self, path: str) -> SplitName | None:
        folders = (part.lower() for part in path_parts(path)[:-1])
        return next((self.folders[folder] for folder in folders if folder in self.folders), None)


class AnnotationSplit(_Rule):
    """Split by the value of an annotation (`train`, `valid`, `test`, or a synonym in `SPLIT_NAMES`)."""

    by: Literal["annotation"] = "annotation"
    annotation: str

    def split_of(self, ink: InkFacts) -> SplitName | None:
        """Return the split of an ink, None if its annotation does not name one."""
        return SPLIT_NAMES.get(ink.annotations.get(self.annotation, "").strip().casefold())


class HashSplit(_Rule):
    """Split by a hash of the writer or of the normalized label, so that neither is in two splits.

    Inks of unknown writers are split by label. Raising a fraction moves as few inks as possible: into that split only.
    """

    by: Literal["hash"] = "hash"
    of: Literal["writer", "label"]
    seed: int
    valid_fraction: Fraction
    test_fraction: Fraction

    def split_of(self, ink: InkFacts) -> SplitName | None:
        """Return the split of an ink."""
        by_writer = self.of == "writer" and ink.writer is not None
        group = f"writer\0{ink.writer}" if by_writer else f"label\0{ink.normalized_label}"
        digest = hashlib.sha256(f"{self.seed}\0{group}".encode("utf-8", "surrogatepass")).digest()
        position = int.from_bytes(digest[:8], "big") / 2**64
        if position < self.test_fraction:
            return "test"
        return "valid" if position < self.test_fraction + self.valid_fraction else "train"


class HeldOutSplit(_Rule):
    """Split by another rule, and hold out a fraction of its training labels for validation."""

    by: Literal["held-out"] = "held-out"
    rule: Annotated[FolderSplit | AnnotationSplit, Field(discriminator="by")]
    held_out: HashSplit

    def selects(self, path: str) -> bool:
        """Return whether the member at `path` is an input under this rule."""
        return self.rule.selects(path)

    def split_of(self, ink: InkFacts) -> SplitName | None:
        """Return the split of an ink, None if the other rule does not give one."""
        split = self.rule.split_of(ink)
        return self.held_out.split_of(ink) if split == "train" else split


SplitRule = Annotated[InputSplit | FolderSplit | AnnotationSplit | HashSplit | HeldOutSplit, Field(discriminator="by")]
"""The registry of split rules."""


def require_split(rule: SplitRule, ink: InkFacts) -> SplitName:
    """Return the split of an ink. Raises UnusableInkError (NO_SPLIT) if the rule does not give one."""
    split = rule.split_of(ink)
    if split is None:
        rule = rule.rule if isinstance(rule, HeldOutSplit) else rule
        source = f"annotation {rule.annotation}" if isinstance(rule, AnnotationSplit) else rule.decided_by
        raise UnusableInkError(Reason.NO_SPLIT, f"no {source} names a split")
    return split


def known_writer(text: str | None) -> str | None:
    """Return the writer's name, or None for a placeholder such as "Unknown"."""
    return None if text is None or text.strip().casefold() in _NO_WRITER else text.strip()


def path_parts(name: str) -> list[str]:
    """Return the components of a member's name, without empty ones and `.` (``./a//b`` is ``a/b``)."""
    return [part for part in name.split("/") if part not in {"", "."}]
