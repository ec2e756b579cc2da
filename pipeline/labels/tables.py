"""Lists of labels of any format: by their suffix CSV, TSV, JSON lines, JSON or Parquet."""

import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from latexify.common.errors import LatexifyError, first_line
from latexify.pipeline.labels.delimited import read_delimited
from latexify.pipeline.labels.rows import ColumnNames, LabelRow, find_columns, unknown_columns
from latexify.pipeline.labels.text import decode_text

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


def _read_parquet(data: bytes, *, source: str, names: ColumnNames) -> list[LabelRow]:
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        header = file.schema_arrow.names
        columns = find_columns(header, names)
        if columns is None:
            raise unknown_columns(header)
        wanted = [columns.name, columns.label, columns.split, columns.writer]
        kept = {place: header[place] for place in wanted if place is not None}
        for place, column in kept.items():
            kind = file.schema_arrow.field(place).type
            if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
                raise LatexifyError(f"the column {column!r} holds {kind}, not text: name another column")
        table = file.read(columns=list(kept.values()))
        texts = {place: table[column].cast(pa.string()).to_pylist() for place, column in kept.items()}
    except UnicodeDecodeError as error:
        raise LatexifyError(f"a text is no UTF-8 ({first_line(error)}): write the file again") from None
    except (pa.ArrowException, OSError) as error:
        raise LatexifyError(f"it is no Parquet file, or damaged ({first_line(error)})") from None
    rows = []
    for number in range(table.num_rows):
        values: list[str | None] = [None] * len(header)
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
