"""A row of a list of labels, and the columns that such a list may have."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from latexify.common.errors import LatexifyError
from latexify.pipeline.inputs.splits import SPLIT_NAMES, SplitName

NAME_COLUMNS = (
    *("file_name", "filename", "file", "image", "img", "picture", "image_path", "img_path", "image_name", "path"),
    *("image_id", "name", "id"),
)
"""Columns that may hold the name of the picture, the first that a list has wins."""
LABEL_COLUMNS = (
    *("latex", "label", "formula", "normalized_label", "tex", "text", "ground_truth", "gt", "equation", "expression"),
    *("caption", "transcription", "truth"),
)
"""Columns that may hold the LaTeX, the first that a list has wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """One row of a list of labels."""

    name: str  # of the picture, as the list has it
    source: str  # the list and the line
    label: str | None = None  # None if the list has no labels, such as those of splits
    split: str | None = None
    writer: str | None = None
    problem: str | None = None  # why the row cannot be used


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnNames:
    """Names of the columns that params.yaml gives; None: a usual name is looked for."""

    name: str | None = None
    label: str | None = None
    split: str = "split"
    writer: str = "writer"
    needed: tuple[str, ...] = ()  # of split and writer, those that a list must have


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Positions of the columns in a list; None if it does not have one."""

    name: int
    label: int
    split: int | None
    writer: int | None

    def row(self, values: Sequence[str | None], *, source: str) -> LabelRow:
        """Return the row of these values, as many as the list has columns."""
        name = values[self.name]
        if name is None or not name.strip():
            return LabelRow(name="", source=source, problem="the row names no picture")
        return LabelRow(
            name=name.strip(),
            source=source,
            label=values[self.label] or "",
            split=None if self.split is None else values[self.split],
            writer=None if self.writer is None else values[self.writer],
        )


def find_columns(header: Sequence[str], names: ColumnNames) -> Columns | None:
    """Return where the columns are, or None if picture or label cannot be found by a usual name.

    Case, spaces and dashes do not count. Raises LatexifyError if a column that is named, or that the split needs, does
    not exist.
    """
    places = _places(header)
    for wanted, parameter in ((names.name, "name_column"), (names.label, "label_column")):
        if wanted is not None and _plain(wanted) not in places:
            raise _no_column(wanted, header, parameter=parameter)
    name, label = _name_and_label(places, names)
    if name is None or label is None:
        return None
    for wanted, parameter in ((names.split, "split_column"), (names.writer, "writer_column")):
        if wanted in names.needed and _plain(wanted) not in places:
            raise _no_column(wanted, header, parameter=parameter)
    return Columns(
        name=name, label=label, split=places.get(_plain(names.split)), writer=places.get(_plain(names.writer))
    )


def has_columns(header: Sequence[str], names: ColumnNames) -> bool:
    """Whether a header has a column of names and one of labels."""
    return None not in _name_and_label(_places(header), names)


def unknown_columns(header: Sequence[str]) -> LatexifyError:
    """Return the error for a list whose columns have no usual names."""
    return LatexifyError(
        f"which of the columns {_listed(header)} hold the file name and the LaTeX cannot be told: name them by "
        "images.name_column and images.label_column"
    )


def split_of_file(name: str) -> SplitName | None:
    """Return the split that the name of a file says, such as ``im2latex_train.lst``; None if it says none."""
    stem = name.rpartition("/")[2].partition(".")[0]
    words = re.split(r"[^a-z]+", stem.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


def _no_column(wanted: str, header: Sequence[str], *, parameter: str) -> LatexifyError:
    return LatexifyError(f"there is no column {wanted!r} (images.{parameter}): the list has {_listed(header)}")


def _listed(header: Sequence[str]) -> str:
    shown = ", ".join(repr(column[:40]) for column in header[:20])
    return f"{shown}, …" if len(header) > 20 else shown


def _places(header: Sequence[str]) -> dict[str, int]:
    """Return the position of each column; of equal ones, the first."""
    return {_plain(column): place for place, column in reversed([*enumerate(header)])}


def _name_and_label(places: dict[str, int], names: ColumnNames) -> tuple[int | None, int | None]:
    name = _first(places, NAME_COLUMNS if names.name is None else [names.name])
    label = _first(places, LABEL_COLUMNS if names.label is None else [names.label])
    return name, None if label == name else label


def _first(places: dict[str, int], wanted: Sequence[str]) -> int | None:
    return next((places[_plain(name)] for name in wanted if _plain(name) in places), None)


def _plain(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().lower())
