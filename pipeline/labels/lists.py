"""Read all lists of labels of some folders and archives of pictures."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Literal

from latexify.artifacts.location import Location, is_local
from latexify.common.errors import LatexifyError
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.inputs.embedded import is_parquet
from latexify.pipeline.inputs.inputs import kind_of
from latexify.pipeline.inputs.pictures import is_archive_name, is_picture_name
from latexify.pipeline.inputs.walk import is_hidden
from latexify.pipeline.labels.find import choose_lists, texts_beside
from latexify.pipeline.labels.layouts import (
    is_list_of_formulas,
    lines_of_formulas,
    read_numbered_list,
    read_split_list,
    rows_by_number,
)
from latexify.pipeline.labels.matching import LabelList
from latexify.pipeline.labels.rows import ColumnNames, LabelRow, split_of_file
from latexify.pipeline.labels.tables import read_embedded, read_table
from latexify.pipeline.labels.text import decode_text

MAX_LIST_BYTES = 500_000_000
SplitSource = Literal["column", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFiles:
    """The files of one folder or archive, in the order in which they are read; hidden ones are left out."""

    path: Location
    name: str  # as the user wrote it
    names: Sequence[str]

    @property
    def pictures(self) -> list[str]:
        """The names of the pictures."""
        return [name for name in self.names if is_picture_name(name)]

    @property
    def archives(self) -> list[str]:
        """The names of archives inside, which are not opened."""
        return [name for name in self.names if is_archive_name(name)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSettings:
    """How lists of labels are read."""

    columns: ColumnNames = field(default_factory=ColumnNames)
    encoding: str | None = None  # None: found
    lists: Sequence[tuple[str, Location]] = ()  # named by the user, with their names; empty: they are looked for
    split_lists: Sequence[tuple[str, Location]] = ()
    split_by: SplitSource | None = None  # where the split of a row is, if it is in a list


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A list of labels, read into memory."""

    name: str  # as it is shown
    data: bytes
    folder: str | None  # see `LabelList`

    def text(self, encoding: str | None) -> str:
        try:
            return decode_text(self.data, encoding=encoding)
        except LatexifyError as error:
            raise LatexifyError(f"{self.name}: {error}") from None


def list_files(path: Location, *, name: str) -> PictureFiles:
    """List the files of a folder or archive. Raises LatexifyError if it is missing or damaged."""
    kind_of(path)
    names = [member.name for member in iter_members(path, max_bytes=None) if not is_hidden(member.name)]
    return PictureFiles(path=path, name=name, names=names)


def read_lists(inputs: Sequence[PictureFiles], settings: ListSettings) -> list[LabelList]:
    """Read the lists of labels that the settings name, or those among the files of the inputs.

    If there are none, texts beside the pictures are read. Parquet files that hold pictures have their labels as well.
    Raises LatexifyError if a list cannot be read, lacks a column, or it is unclear which files are lists.
    """
    files = _named(settings.lists, inputs) if settings.lists else _found(inputs)
    lists = _read(files, inputs, settings) if files else _beside(inputs, settings)
    if not settings.lists:
        lists += _embedded(inputs, settings)
    if settings.split_by != "file":
        return lists
    return [*lists, *_split_lists(settings, inputs)]


def _named(lists: Sequence[tuple[str, Location]], inputs: Sequence[PictureFiles]) -> list[_File]:
    files = []
    for name, path in lists:
        if not path.is_file():
            raise LatexifyError(f"{name}: there is no such list of labels ({path})")
        if path.stat().st_size > MAX_LIST_BYTES:
            raise LatexifyError(f"{name}: a list of labels may have {MAX_LIST_BYTES:,} bytes at most")
        files.append(_File(name=name, data=path.read_bytes(), folder=_folder_of(path, inputs)))
    return files


def _folder_of(path: Location, inputs: Sequence[PictureFiles]) -> str | None:
    """Return the folder of a list inside the input in which it lies."""
    if not is_local(path):
        return None
    for item in inputs:
        if is_local(item.path) and item.path.is_dir() and path.resolve().is_relative_to(item.path.resolve()):
            return path.resolve().parent.relative_to(item.path.resolve()).as_posix()
    return None


def _found(inputs: Sequence[PictureFiles]) -> list[_File]:
    files = []
    for item in inputs:
        chosen = choose_lists(item.names, where=item.name)
        contents = _contents(item, chosen)
        for name in chosen:
            folder = PurePosixPath(name).parent.as_posix()
            files.append(_File(name=f"{item.name}/{name}", data=contents[name], folder=folder))
    return files


def _contents(item: PictureFiles, wanted: Sequence[str]) -> Mapping[str, bytes]:
    """Read some files of a folder or archive."""
    contents: dict[str, bytes] = {}
    if wanted:
        names = frozenset(wanted)
        for member in iter_members(item.path, max_bytes=MAX_LIST_BYTES, wanted=names.__contains__):
            if member.data is not None:
                contents[member.name] = member.data
    if missing := [name for name in wanted if name not in contents]:
        raise LatexifyError(f"{item.name}/{missing[0]}: the list is too large, or a link: name it in images.labels")
    return contents


def _read(files: Sequence[_File], inputs: Sequence[PictureFiles], settings: ListSettings) -> list[LabelList]:
    formulas = [file for file in files if is_list_of_formulas(file.name) and not _names_pictures(file, settings)]
    numbered = [file for file in files if file.name.lower().endswith(".lst") and file not in formulas]
    if len(formulas) > 1 or (numbered and not formulas):
        names = ", ".join(file.name for file in formulas or numbered)
        problem = "several lists of formulas" if formulas else "no list of formulas (such as formulas.lst) is with it"
        raise LatexifyError(f"{names}: {problem}: name one, and the lists that number them, in images.labels")
    tables = [file for file in files if file not in formulas and file not in numbered]
    lists = [LabelList(rows=_table(file, settings), folder=file.folder) for file in tables]
    if formulas:
        [file] = formulas
        lines = lines_of_formulas(file.text(settings.encoding))
        for each in numbered:
            rows = read_numbered_list(each.text(settings.encoding), source=each.name, formulas=lines)
            if settings.split_by != "file":
                rows = [replace(row, split=None) for row in rows]
            lists.append(LabelList(rows=rows))
        if not numbered:
            pictures = [picture for item in inputs for picture in item.pictures]
            lists.append(LabelList(rows=rows_by_number(pictures, lines, source=file.name)))
    return lists


def _names_pictures(file: _File, settings: ListSettings) -> bool:
    """Whether the first line of a list names a picture, so that it is no list of formulas alone."""
    start = file.text(settings.encoding).lstrip()[:1000].replace(",", " ").replace(";", " ").split(maxsplit=1)
    return bool(start) and is_picture_name(start[0].strip('"'))


def _table(file: _File, settings: ListSettings) -> list[LabelRow]:
    rows = read_table(file.data, source=file.name, names=settings.columns, encoding=settings.encoding)
    return _with_split(rows, file.name, settings)


def _embedded(inputs: Sequence[PictureFiles], settings: ListSettings) -> list[LabelList]:
    holding = [item for item in inputs if is_parquet(item.path)]
    repeated = [name for name, count in Counter(item.path.stem for item in holding).items() if count > 1]
    if repeated:
        raise LatexifyError(f"two Parquet files in images.paths are named {repeated[0]!r}: rename one")
    return [
        LabelList(
            rows=_with_split(
                read_embedded(item.path, source=item.name, names=settings.columns), item.path.name, settings
            )
        )
        for item in holding
    ]


def _with_split(rows: list[LabelRow], name: str, settings: ListSettings) -> list[LabelRow]:
    """Give the rows of a list the split that the settings say: that of a column, or of the name of its file."""
    if settings.split_by == "column":
        return rows
    split = None
    if settings.split_by == "file" and not settings.split_lists:
        split = split_of_file(name)
        if split is None:
            raise LatexifyError(
                f"{name}: its name holds neither train, valid nor test: name lists for images.split_files, or "
                "choose another images.split_by"
            )
    return [replace(row, split=split) for row in rows]


def _beside(inputs: Sequence[PictureFiles], settings: ListSettings) -> list[LabelList]:
    lists = []
    for item in inputs:
        texts = texts_beside(item.names, item.pictures)
        rows = []
        for name, data in _contents(item, texts).items():
            file = _File(name=f"{item.name}/{name}", data=data, folder=None)
            label = file.text(settings.encoding).strip()
            rows.append(LabelRow(name=os.path.splitext(name)[0], source=file.name, label=label))  # noqa: PTH122  # a name
        lists.append(LabelList(rows=rows))
    return lists


def _split_lists(settings: ListSettings, inputs: Sequence[PictureFiles]) -> list[LabelList]:
    return [
        LabelList(rows=read_split_list(file.text(settings.encoding), source=file.name), folder=file.folder)
        for file in _named(settings.split_lists, inputs)
    ]
