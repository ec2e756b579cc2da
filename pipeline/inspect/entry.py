"""Entries: the known facts of an ink, sample or rejection, collections of them, and the choice of what to show."""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.latex import tokenize

Picture = npt.NDArray[np.uint8]  # [height, width], 0 = ink, 255 = paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ink, sample or rejection. What its collection does not record is None."""

    key: str
    source: str = ""  # archive and member it came from
    dataset: str | None = None  # if there are several
    split: str | None = None
    label: str | None = None  # normalised if possible
    num_tokens: int | None = None  # LaTeX tokens, or token ids including the end id if `has_ids`
    has_ids: bool = False
    extent: tuple[float, float] | None = None  # width and height in the ink's own units
    num_strokes: int | None = None
    num_points: int | None = None
    num_bytes: int | None = None  # of the picture
    reason: str | None = None  # category of the fault, by which faults are counted
    fault: str | None = None  # why it was rejected or cannot be read


class Collection(Protocol):
    """The entries of one path, and their pictures."""

    @property
    def title(self) -> str:
        """One line that describes the collection."""

    @property
    def entries(self) -> Sequence[Entry]:
        """All entries in stored order."""

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:
        """Return a picture of each entry, None if it has none. Inks are drawn on `canvas`; samples are as stored."""


def num_latex_tokens(label: str) -> int:
    """Count the LaTeX tokens of a label, spaces left out."""
    return sum(token != " " for token in tokenize(label))


Pick = Literal["random", "longest", "widest", "smallest", "most-strokes"]

# sort keys; larger values come first, entries whose size is unknown last
_SIZES: dict[str, Callable[[Entry], float]] = {
    "longest": lambda entry: -np.inf if entry.num_tokens is None else entry.num_tokens,
    "widest": lambda entry: entry.extent[0] / max(entry.extent[1], 1e-9) if entry.extent else -np.inf,
    "smallest": lambda entry: -max(entry.extent) if entry.extent else -np.inf,
    "most-strokes": lambda entry: -np.inf if entry.num_strokes is None else entry.num_strokes,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which entries to show."""

    pick: Pick = "random"  # the order: `widest` by width / height, `smallest` by the larger side in the ink's units
    count: int = 24  # at most
    label: str | None = None  # text within the label or, if no label contains it, a regular expression
    key: str | None = None  # text within the key or the source
    split: str | None = None
    seed: int = 0  # of `random`


def choose(entries: Sequence[Entry], choice: Choice) -> tuple[list[Entry], int]:
    """Return at most `choice.count` of the matching entries, and how many match. Their order does not matter.

    Raises LatexifyError if no label contains `choice.label` and it is not a valid regular expression.
    """
    matching = [entry for entry in entries if _matches(entry, choice)]
    if choice.label is not None:
        matching = _with_label(matching, choice.label)
    if choice.pick == "random":
        matching.sort(key=lambda entry: _draw(entry, choice.seed))
    else:
        matching.sort(key=lambda entry: (-_SIZES[choice.pick](entry), entry.key))
    return matching[: choice.count], len(matching)


def _matches(entry: Entry, choice: Choice) -> bool:
    if choice.split is not None and entry.split != choice.split:
        return False
    return choice.key is None or choice.key in entry.key or choice.key in entry.source


def _with_label(entries: Sequence[Entry], text: str) -> list[Entry]:
    if found := [entry for entry in entries if text in (entry.label or "")]:
        return found
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise LatexifyError(
            f"no label contains {text!r}, and it is not a valid regular expression ({error}): correct --label"
        ) from None
    return [entry for entry in entries if entry.label is not None and pattern.search(entry.label)]


def _draw(entry: Entry, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{entry.key}\0{entry.source}".encode("utf-8", "surrogatepass")).digest()
