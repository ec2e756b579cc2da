"""Lists of labels of any format: by their suffix CSV, TSV, JSON lines, JSON or Parquet."""

import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError, first_line
from latexify.pipeline.inputs.embedded import open_embedded, picture_column, picture_name
from latexify.pipeline.labels.delimited import read_delimited
from latexify.pipeline.labels.rows import ColumnNames, Columns, LabelRow, find_columns, unknown_columns
from latexify.pipeline.labels.text import decode_text

_ROW = "the row's picture"  # the name of a column that is made here
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_table(data: bytes, *, source: str, names: ColumnNames, encoding: str | None) -> list[LabelRow]:
    """Read a list of labels, whose name is `source`. Raises LatexifyError if it cannot be read, or lacks a column."""
    suffix = PurePosixPath(source).suffix.lower()
    try:
        if suffix == ".parquet" or data.startswith(b"PAR1"):
            return _read_parquet(data, source=source, names=names)
        text = decode_text(data, encoding=encoding)
        if suffix in {".jsonl", ".ndjson", ".json"}:
            objects = _whole_json(text) if suffix == ".json" else _json_lines(text)
            return _from_objects(objects, source=source, names=names)
        return read_delimited(text, source=source, names=names)
    except LatexifyError as error:
        raise LatexifyError(f"{source}: {error}") from None


def read_embedded(path: Location, *, source: str, names: ColumnNames) -> list[LabelRow]:
    """Read the labels of a Parquet file that holds the pictures as well. Raises LatexifyError if it lacks a column."""
    with path.open("rb") as opened:
        file, pictures = open_embedded(cast("IO[bytes]", opened), name=source)
        header = [*file.schema_arrow.names, _ROW]
        header[header.index(pictures)] = ""  # neither name nor label
        try:
            columns = find_columns(header, replace(names, name=_ROW))
            if columns is None:
                raise unknown_columns(file.schema_arrow.names)
            texts = _columns_of_text(file, [columns.label, columns.split, columns.writer])
        except LatexifyError as error:
            raise LatexifyError(f"{source}: {error}") from None
        except (pa.ArrowException, OSError) as error:
            raise LatexifyError(f"{source}: it is damaged ({first_line(error)})") from None
        texts[columns.name] = [picture_name(path.name, row) for row in range(file.metadata.num_rows)]
    return _rows(texts, columns, num_columns=len(header), source=source)


def _read_parquet(data: bytes, *, source: str, names: ColumnNames) -> list[LabelRow]:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        header = file.schema_arrow.names
        columns = find_columns(header, names)
        if columns is None:
            raise unknown_columns(header)
        texts = _columns_of_text(file, [columns.name, columns.label, columns.split, columns.writer])
    except UnicodeDecodeError as error:
        raise LatexifyError(f"a text is no UTF-8 ({first_line(error)}): write the file again") from None
    except (pa.ArrowException, OSError) as error:
        raise LatexifyError(f"it is no Parquet file, or damaged ({first_line(error)})") from None
    return _rows(texts, columns, num_columns=len(header), source=source)


def _columns_of_text(file: pq.ParquetFile, wanted: Sequence[int | None]) -> dict[int, list[str | None]]:
    """Read columns by their places; None is left out. Raises LatexifyError if one does not hold text."""
    header = file.schema_arrow.names
    kept = {place: header[place] for place in wanted if place is not None}
    for place, column in kept.items():
        kind = file.schema_arrow.field(place).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
            advice = "name another column"
            if picture_column(file.schema_arrow) == column:
                advice += ", or, if it holds the pictures, name the file in images.paths"
            raise LatexifyError(f"the column {column!r} holds {kind}, not text: {advice}")
    table = file.read(columns=list(kept.values()))
    return {place: table[column].cast(pa.string()).to_pylist() for place, column in kept.items()}


def _rows(
    texts: Mapping[int, Sequence[str | None]], columns: Columns, *, num_columns: int, source: str
) -> list[LabelRow]:
    rows = []
    for number in range(len(texts[columns.name])):
        values: list[str | None] = [None] * num_columns
        for place, column_texts in texts.items():
            values[place] = column_texts[number]
        rows.append(columns.row(values, source=f"{source}:{number + 1}"))
    return rows


def _json_lines(text: str) -> Iterable[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise LatexifyError(f"line {number} is no JSON ({first_line(error)})") from None


def _whole_json(text: str) -> Iterable[tuple[int, Any]]:
    """A list of objects, or an object of labels by name."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LatexifyError(f"it is no JSON ({first_line(error)})") from None
    if isinstance(content, Mapping):
        content = [{"file_name": name, "latex": label} for name, label in content.items()]
    if not isinstance(content, list):
        raise LatexifyError("it holds neither a list of objects nor an object of labels by file name")
    return enumerate(content, start=1)


def _from_objects(objects: Iterable[tuple[int, Any]], *, source: str, names: ColumnNames) -> list[LabelRow]:
    rows: list[LabelRow] = []
    header: list[str] = []
    for number, value in objects:
        where = f"{source}:{number}"
        if not isinstance(value, Mapping):
            rows.append(LabelRow(name="", source=where, problem="it is no JSON object"))
            continue
        header = header or list(value)
        columns = find_columns(header, names)
        if columns is None:
            raise unknown_columns(header)
        values = [value.get(column) for column in header]
        if any(isinstance(item, (list, dict, bool, float)) for item in (values[columns.name], values[columns.label])):
            rows.append(LabelRow(name="", source=where, problem="name or label is no text"))
            continue
        texts = [None if item is None else str(item) for item in values]
        if any(_SURROGATE.search(text) for text in texts if text):
            rows.append(LabelRow(name="", source=where, problem="half a surrogate pair is no character"))
            continue
        rows.append(columns.row(texts, source=where))
    return rows
