"""Lists of labels with separators: CSV, TSV, and lines of a name and a label."""

import csv
import io
from collections.abc import Iterator

from latexify.common.errors import LatexifyError, one_line
from latexify.pipeline.inputs.pictures import is_picture_name
from latexify.pipeline.labels.rows import ColumnNames, LabelRow, find_columns, has_columns, unknown_columns

SEPARATORS = ("\t", ",", ";", "|")
_MAX_FIELD_CHARS = 1 << 24


def read_delimited(text: str, *, source: str, names: ColumnNames) -> list[LabelRow]:
    """Read a list of labels. `source` is its name.

    The first line may be a header, whose columns are found by their names. Without one, each line is the name of a
    picture, a separator and the label. The separator is found: tab, comma, semicolon or bar, and a space if there is no
    header. Raises LatexifyError if neither can be told, a column does not exist, or quotes are not closed.
    """
    lines = text.splitlines()
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        return []
    for separator in SEPARATORS:
        if has_columns(_fields(first, separator), names):
            return _with_header(text, separator, source=source, names=names)
    if names.name is not None or names.label is not None:
        return _with_header(text, max(SEPARATORS, key=first.count), source=source, names=names)
    for separator in (*SEPARATORS, " "):
        before, found, _ = first.partition(separator)
        if found and (is_picture_name(before.strip().strip('"')) or separator == "\t"):
            return [*_without_header(text, separator, source=source)]
    header = _fields(first, max(SEPARATORS, key=first.count))
    raise unknown_columns(header)


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator))


def _with_header(text: str, separator: str, *, source: str, names: ColumnNames) -> list[LabelRow]:
    rows = _records(text, separator)
    _, header = next(rows)
    columns = find_columns(header, names)
    if columns is None:
        raise unknown_columns(header)
    found = []
    for line, values in rows:
        where = f"{source}:{line}"
        if len(values) == len(header):
            found.append(columns.row(values, source=where))
        else:
            problem = f"{len(values)} fields, the header has {len(header)}: quote labels that hold {separator!r}"
            name = values[columns.name] if columns.name < len(values) else ""
            found.append(LabelRow(name=name.strip(), source=where, problem=problem))
    return found


def _without_header(text: str, separator: str, *, source: str) -> Iterator[LabelRow]:
    if separator in ",;|":
        for line, values in _records(text, separator):
            name, problem = values[0].strip(), None
            if len(values) != 2:
                problem = f"{len(values)} fields, expected a name and a label: quote labels that hold {separator!r}"
            yield LabelRow(name=name, source=f"{source}:{line}", label=values[-1], problem=problem)
        return
    for number, text_line in enumerate(text.split("\n"), start=1):
        if text_line.strip():
            name, _, label = text_line.strip("\r\n").partition(separator)
            problem = "more than one tab" if separator == "\t" and "\t" in label.strip() else None
            yield LabelRow(name=name.strip(), source=f"{source}:{number}", label=label.strip(), problem=problem)


def _records(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that are not empty, each with the number of its last line."""
    csv.field_size_limit(_MAX_FIELD_CHARS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for values in reader:
            if any(value.strip() for value in values):
                yield reader.line_num, values
    except csv.Error as error:
        raise LatexifyError(f"line {reader.line_num} cannot be read ({one_line(error)}): mend its quotes") from None
