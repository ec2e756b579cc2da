"""Lists of labels that take several files: those of im2latex and pix2tex, splits, and a text beside each picture."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from latexify.common.errors import LatexifyError
from latexify.pipeline.inputs.pictures import without_suffix
from latexify.pipeline.labels.rows import LabelRow, split_of_file

FORMULAS = re.compile(r"(^|_)(formulas?|math)([._]|$)")
"""Names of files that hold a formula in each line, and no names of pictures."""


def is_list_of_formulas(name: str) -> bool:
    """Whether a file is named like the formulas of im2latex (``im2latex_formulas.lst``) or pix2tex (``math.txt``)."""
    path = PurePosixPath(name.lower())
    return path.suffix in {".lst", ".txt"} and FORMULAS.search(path.name) is not None


def read_numbered_list(text: str, *, source: str, formulas: Sequence[str]) -> list[LabelRow]:
    """Read a list of im2latex: a line has the number of a formula and the name of its picture, in either order.

    Raises LatexifyError if no line has a number.
    """
    rows = []
    split = split_of_file(source)
    for line, words in _lines_of_words(text):
        where = f"{source}:{line}"
        numbers = [word for word in words[:2] if word.isdecimal()]
        if len(words) < 2 or not numbers:
            rows.append(LabelRow(name=words[0], source=where, problem="no number of a formula and name of a picture"))
            continue
        is_first = words[0].isdecimal()
        name, number = (words[1], int(words[0])) if is_first else (words[0], int(words[1]))
        if number >= len(formulas):
            problem = f"there is no formula {number}: the list has {len(formulas)}, counted from 0"
            rows.append(LabelRow(name=name, source=where, problem=problem))
        else:
            rows.append(LabelRow(name=name, source=where, label=formulas[number], split=split))
    if rows and all(row.problem for row in rows):
        raise LatexifyError(f"{source}: no line has the number of a formula and the name of a picture")
    return rows


def lines_of_formulas(text: str) -> list[str]:
    """Return the formula of each line; only a line feed ends one, because formulas of im2latex hold other line ends."""
    return [line.strip() for line in text.removesuffix("\n").split("\n")]


def rows_by_number(names: Iterable[str], formulas: Sequence[str], *, source: str) -> list[LabelRow]:
    """Label pictures by their numbers, as pix2tex does: ``0000042.png`` is the formula in line 42, counted from 0."""
    rows = []
    for name in names:
        stem = without_suffix(name.rpartition("/")[2])
        if not stem.isdecimal():
            continue
        number = int(stem)
        if number < len(formulas):
            rows.append(LabelRow(name=name, source=f"{source}:{number + 1}", label=formulas[number]))
        else:
            problem = f"there is no formula {number}: {source} has {len(formulas)}, counted from 0"
            rows.append(LabelRow(name=name, source=source, problem=problem))
    return rows


def read_split_list(text: str, *, source: str) -> list[LabelRow]:
    """Read the names of the pictures of a split, the first word or field of each line; the file's name is the split's.

    Raises LatexifyError if the name of the file names no split.
    """
    split = split_of_file(source)
    if split is None:
        raise LatexifyError(f"{source}: the name of a list of splits must hold train, valid or test")
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        name = re.split(r"[\t,;|]", line.strip(), maxsplit=1)[0].strip().strip('"')
        if name:
            rows.append(LabelRow(name=name, source=f"{source}:{number}", split=split))
    return rows


def _lines_of_words(text: str) -> Iterable[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if words := line.split():
            yield number, words
