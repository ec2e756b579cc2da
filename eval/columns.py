"""Reading the two columns that a score needs from whatever table they are in."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from shards.errors import LatexifyError


def read_pairs(path: Path, *, reference_column: str, prediction_column: str) -> tuple[list[str], list[str]]:
    """References and predictions from a .parquet, .csv, .jsonl or .ndjson file, row by row.

    A prediction that is null is a sample that failed: it counts as empty. A reference must not be null.
    """
    readers: dict[str, Callable[[], pa.Table]] = {
        ".parquet": lambda: pyarrow.parquet.read_table(path),
        ".csv": lambda: _read_csv(path, [reference_column, prediction_column]),
        ".jsonl": lambda: pyarrow.json.read_json(path),
        ".ndjson": lambda: pyarrow.json.read_json(path),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise LatexifyError(f"{path}: cannot read {path.suffix or 'a file without suffix'!r}; use {', '.join(readers)}")
    try:
        table = reader()
    except FileNotFoundError:
        raise LatexifyError(f"{path} not found") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise LatexifyError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if table.num_rows == 0:
        raise LatexifyError(f"{path} holds no samples")
    references = _strings(table, reference_column, path)
    predictions = _strings(table, prediction_column, path)
    if None in references:
        raise LatexifyError(f"{path}: column {reference_column!r} has no value in row {references.index(None) + 1}")
    return [text or "" for text in references], [text or "" for text in predictions]


def _read_csv(path: Path, text_columns: list[str]) -> pa.Table:
    """Labels may look like numbers or nulls and may span lines: they are text nevertheless."""
    return pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(text_columns, pa.string())),
    )


def _strings(table: pa.Table, name: str, path: Path) -> list[str | None]:
    if name not in table.column_names:
        raise LatexifyError(f"{path} has no column {name!r}; it has: {', '.join(table.column_names)}")
    column = table.column(name)
    if pa.types.is_null(column.type):
        return [None] * table.num_rows
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise LatexifyError(f"{path}: column {name!r} holds {column.type}, expected text")
    values: list[str | None] = column.to_pylist()
    return values
