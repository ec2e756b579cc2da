"""Which entries a person looks at."""

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from latexify.common.errors import LatexifyError
from latexify.pipeline.inspect.entry import Entry

Pick = Literal["random", "longest", "widest", "smallest", "most-strokes"]

_SIZES: dict[str, Callable[[Entry], float | None]] = {
    "longest": lambda entry: entry.num_tokens,
    "widest": lambda entry: entry.extent[0] / max(entry.extent[1], 1e-9) if entry.extent else None,
    "smallest": lambda entry: -max(entry.extent) if entry.extent else None,
    "most-strokes": lambda entry: entry.num_strokes,
}
"""The larger the earlier; None comes last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to look at.

    label: text within the label or, where no label holds it, a regular expression. key: text within the key or the
    source. pick: `widest` goes by the ratio of the sides, `smallest` by the larger side in the ink's own units.
    """

    pick: Pick = "random"
    count: int = 24
    label: str | None = None
    key: str | None = None
    split: str | None = None
    seed: int = 0


def choose(entries: Sequence[Entry], choice: Choice) -> tuple[list[Entry], int]:
    """At most `choice.count` of the entries, and how many of them match.

    The same for the same entries, in whatever order. Raises LatexifyError for a label that is no regular expression.
    """
    matching = [entry for entry in entries if _is_wanted(entry, choice)]
    if choice.label is not None:
        matching = list(_with_label(matching, choice.label))
    size = _SIZES.get(choice.pick)
    if size is None:
        matching.sort(key=lambda entry: _draw(entry, choice.seed))
    else:
        matching.sort(key=lambda entry: _rank(size(entry), entry.key))
    return matching[: choice.count], len(matching)


def _is_wanted(entry: Entry, choice: Choice) -> bool:
    if choice.split is not None and entry.split != choice.split:
        return False
    return choice.key is None or choice.key in entry.key or choice.key in entry.source


def _with_label(entries: Sequence[Entry], wanted: str) -> Iterator[Entry]:
    if any(wanted in (entry.label or "") for entry in entries):
        yield from (entry for entry in entries if wanted in (entry.label or ""))
        return
    try:
        pattern = re.compile(wanted)
    except re.error as error:
        raise LatexifyError(
            f"no label holds {wanted!r}, and as a regular expression it is wrong ({error}): correct --label"
        ) from None
    yield from (entry for entry in entries if entry.label is not None and pattern.search(entry.label))


def _draw(entry: Entry, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{entry.key}\0{entry.source}".encode("utf-8", "surrogatepass")).digest()


def _rank(size: float | None, key: str) -> tuple[float, str]:
    return (float("inf") if size is None else -size, key)
