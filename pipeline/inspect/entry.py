"""Entries: the known facts of an ink, sample or rejection, collections of them, and the choice of what to show."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.latex import tokenize

Picture = npt.NDArray[np.uint8]
"""uint8 [height, width], 0 = ink, 255 = paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ink, sample or rejection. What its collection does not record is None.

    Attributes:
        key: Its key in the dataset.
        source: Archive and member it came from.
        split: train, valid or test.
        label: Normalised if possible.
        num_tokens: Number of LaTeX tokens, or of token ids including the end id if `has_ids`.
        has_ids: Whether `num_tokens` counts token ids.
        extent: Width and height in the ink's own units.
        num_strokes: Number of strokes.
        num_points: Number of points.
        num_bytes: Size of the picture.
        reason: Category of the fault, by which faults are counted.
        fault: Why it was rejected or cannot be read.
    """

    key: str
    source: str = ""
    split: str | None = None
    label: str | None = None
    num_tokens: int | None = None
    has_ids: bool = False
    extent: tuple[float, float] | None = None
    num_strokes: int | None = None
    num_points: int | None = None
    num_bytes: int | None = None
    reason: str | None = None
    fault: str | None = None


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

_SIZES: dict[str, Callable[[Entry], float | None]] = {
    "longest": lambda entry: entry.num_tokens,
    "widest": lambda entry: entry.extent[0] / max(entry.extent[1], 1e-9) if entry.extent else None,
    "smallest": lambda entry: -max(entry.extent) if entry.extent else None,
    "most-strokes": lambda entry: entry.num_strokes,
}
"""Sort keys; larger values come first, None comes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which entries to show.

    Attributes:
        pick: Order of the entries. `widest` sorts by width / height, `smallest` by the larger side in the ink's units.
        count: Maximum number of entries.
        label: Text within the label or, if no label contains it, a regular expression.
        key: Text within the key or the source.
        split: Only this split.
        seed: Random seed of `random`.
    """

    pick: Pick = "random"
    count: int = 24
    label: str | None = None
    key: str | None = None
    split: str | None = None
    seed: int = 0


def choose(entries: Sequence[Entry], choice: Choice) -> tuple[list[Entry], int]:
    """Return at most `choice.count` of the matching entries, and how many match. Their order does not matter.

    Raises:
        LatexifyError: If no label contains `choice.label` and it is not a valid regular expression.
    """
    matching = [entry for entry in entries if _matches(entry, choice)]
    if choice.label is not None:
        matching = list(_with_label(matching, choice.label))
    size = _SIZES.get(choice.pick)
    if size is None:
        matching.sort(key=lambda entry: _draw(entry, choice.seed))
    else:
        matching.sort(key=lambda entry: _rank(size(entry), entry.key))
    return matching[: choice.count], len(matching)


def _matches(entry: Entry, choice: Choice) -> bool:
    if choice.split is not None and entry.split != choice.split:
        return False
    return choice.key is None or choice.key in entry.key or choice.key in entry.source


def _with_label(entries: Sequence[Entry], text: str) -> Iterator[Entry]:
    if any(text in (entry.label or "") for entry in entries):
        yield from (entry for entry in entries if text in (entry.label or ""))
        return
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise LatexifyError(
            f"no label contains {text!r}, and it is not a valid regular expression ({error}): correct --label"
        ) from None
    yield from (entry for entry in entries if entry.label is not None and pattern.search(entry.label))


def _draw(entry: Entry, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{entry.key}\0{entry.source}".encode("utf-8", "surrogatepass")).digest()


def _rank(size: float | None, key: str) -> tuple[float, str]:
    return (float("inf") if size is None else -size, key)
