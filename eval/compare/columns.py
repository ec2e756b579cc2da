"""Reading references, predictions and keys from Parquet, CSV, TSV, JSON and JSON-lines files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from latexify.common.errors import LatexifyError, one_line

OF_RECOGNIZE = {"prediction": "latex", "key": "file"}
"""What ``latexify recognize --json`` calls these columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnNames:
    """Column names of a table of predictions."""

    reference: str = "reference"
    prediction: str = "prediction"
    key: str = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """References and predictions, row by row; `keys` is None if the table has no key column."""

    references: list[str]
    predictions: list[str]
    keys: pa.Array | None


def read_pairs(path: Path, *, names: ColumnNames) -> Pairs:
    """Read a .parquet, .csv, .tsv, .json (an array of objects), .jsonl or .ndjson file.

    The output of ``latexify recognize --json`` is read, too. A null prediction is a sample that failed and counts as
    empty. Keys are read as text. Raises LatexifyError if a column is missing or is not text, a reference is null, or a
    key is null or repeated.
    """
    table = _read_table(path, names)
    if table.num_rows == 0:
        raise LatexifyError(f"{path} has no samples")
    names = _present(names, table)
    references = _strings(table, names.reference, path)
    predictions = _strings(table, names.prediction, path)
    if None in references:
        raise LatexifyError(f"{path}: column {names.reference!r} has no value in row {references.index(None) + 1}")
    return Pairs(
        references=[text or "" for text in references],
        predictions=[text or "" for text in predictions],
        keys=_keys(table, names.key, path) if names.key in table.column_names else None,
    )


def _present(names: ColumnNames, table: pa.Table) -> ColumnNames:
    """Return the names of the columns that the table has, which may be those of ``latexify recognize --json``."""
    prediction, key = (
        OF_RECOGNIZE[name] if name not in table.column_names and OF_RECOGNIZE.get(name) in table.column_names else name
        for name in (names.prediction, names.key)
    )
    return ColumnNames(reference=names.reference, prediction=prediction, key=key)


def _read_table(path: Path, names: ColumnNames) -> pa.Table:
    columns = [names.reference, names.prediction, names.key]
    readers: dict[str, Callable[[], pa.Table]] = {
        ".parquet": lambda: _read_parquet(path, columns),
        ".csv": lambda: _read_csv(path, columns),
        ".tsv": lambda: _read_csv(path, columns, delimiter="\t"),
        ".json": lambda: _read_json_array(path, columns),
        ".jsonl": lambda: pyarrow.json.read_json(path),
        ".ndjson": lambda: pyarrow.json.read_json(path),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise LatexifyError(f"{path}: cannot read {path.suffix or 'a file without suffix'!r}; use {', '.join(readers)}")
    try:
        return reader()
    except FileNotFoundError:
        raise LatexifyError(f"{path} not found") from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise LatexifyError(f"{path} cannot be read: {one_line(error)}") from None


def _read_parquet(path: Path, columns: list[str]) -> pa.Table:
    """The given columns; all columns if one is missing, so that the error message can list them."""
    with pyarrow.parquet.ParquetFile(path) as file:
        present = [name for name in columns if name in file.schema_arrow.names]
        return file.read(columns=present if len(present) >= len(columns) - 1 and columns[1] in present else None)


def _read_json_array(path: Path, columns: list[str]) -> pa.Table:
    """The given columns of an array of objects; all columns if one is missing, so that the message can list them."""
    try:
        rows = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # of JSON or UTF-8
        raise LatexifyError(f"{path} is not JSON ({one_line(error)}): JSON lines need the suffix .jsonl") from None
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise LatexifyError(f"{path} is not an array of objects, each a sample with reference and prediction")
    present = list(dict.fromkeys(name for row in rows for name in row))
    if not set(columns[:2]) <= set(present):
        return pa.table({name: pa.nulls(len(rows)) for name in present})
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in columns if name in present})


def _read_csv(path: Path, text_columns: list[str], *, delimiter: str = ",") -> pa.Table:
    """Read labels as text even if they look like numbers or nulls; they may span lines."""
    return pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(text_columns, pa.string())),
    )


def _strings(table: pa.Table, name: str, path: Path) -> list[str | None]:
    if name not in table.column_names:
        raise LatexifyError(f"{path} has no column {name!r}; it has: {', '.join(table.column_names)}")
    column = table.column(name)
    if pa.types.is_null(column.type):
        return [None] * table.num_rows
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise LatexifyError(f"{path}: column {name!r} has type {column.type}, expected text")
    values: list[str | None] = column.to_pylist()
    return values


def _keys(table: pa.Table, name: str, path: Path) -> pa.Array:
    column = table.column(name)
    try:
        keys = pa.concat_arrays(column.cast(pa.large_string()).chunks)
    except pa.ArrowNotImplementedError:
        raise LatexifyError(f"{path}: column {name!r} has type {column.type}, expected text or numbers") from None
    if keys.null_count:
        raise LatexifyError(f"{path}: column {name!r} has no value in row {keys.is_null().index(True).as_py() + 1}")
    counted = keys.value_counts()
    if len(counted) < len(keys):
        twice = pa.compute.filter(counted.field("values"), pa.compute.greater(counted.field("counts"), 1))
        raise LatexifyError(f"{path}: column {name!r} has {twice[0].as_py()!r} more than once: keys must be unique")
    return keys
