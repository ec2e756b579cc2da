"""Inputs of the report, read and checked to belong to one run."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest, require_input
from latexify.artifacts.names import HISTORY_NAME, MODEL, PREDICTIONS, PREDICTIONS_NAME, SAMPLES_NAME, SHARDS
from latexify.common.errors import LatexifyError

COUNTED_STAGES = ("ingest", "vocab", "rasterize", "train")  # stages before the evaluation that write metrics
SLICE_COLUMNS = ("num_samples", "cer", "cer_low", "cer_high", "exact_match", "exact_match_field")
OPTIONAL_TABLES = {
    "datasets": {"error_by_dataset": ("dataset", *SLICE_COLUMNS)},
    "formulas": {"error_by_training": ("formula", *SLICE_COLUMNS)},
}
"""Tables that are there only if score.json has this key."""
TABLES = {
    "error_by_length": ("symbols", *SLICE_COLUMNS),
    "error_by_structure": ("structure", *SLICE_COLUMNS),
    "error_by_source": ("source", *SLICE_COLUMNS),
    "error_by_writer": ("writer", *SLICE_COLUMNS),
    "token_errors": ("token_errors", "num_samples"),
    "reliability": ("confidence", "from", "to", "num_samples", "mean_confidence", "right", "right_low", "right_high"),
    "symbols": ("symbol", "count", "right", "substituted", "missing", "extra", "recall"),
    "confusions": ("kind", "reference", "prediction", "count"),
}
"""Tables of ``latexify score``, with the columns that the report shows."""
FROM_SAMPLES = ("num_chars", "char_errors", "num_symbols", "symbol_errors", "source", "writer", "structures")

CsvRow = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInputs:
    """Everything about one run."""

    manifests: Mapping[str, Manifest]  # of predictions, model and shards, by kind
    rows: pa.Table  # the predictions with their columns of samples.parquet (`visual`, `renders` if they were typeset)
    score: Mapping[str, Any]  # metrics/score.json
    stages: Mapping[str, Mapping[str, Any]]  # metrics of the earlier stages that led to these predictions, by stage
    tables: Mapping[str, Sequence[CsvRow]]  # of `latexify score` by name, cells as in the CSV files
    history: Sequence[CsvRow]  # rows of history.csv
    how_to_list: Sequence[str] = ("latexify inspect data/inks", "latexify inspect data/shards")  # the rejections

    @property
    def split(self) -> str:
        """Split of the samples."""
        return str(self.manifests[PREDICTIONS.kind].params["split"])


def read_inputs(  # noqa: PLR0913  # all are named
    predictions: Path, *, shards: Location, model: Path, plots: Path, metrics_folder: Path, is_named: bool = False
) -> ReportInputs:
    """Read all inputs; a model that the user named (`is_named`) comes without the metrics of a training.

    Raises LatexifyError if one is missing, or belongs to another run than the rest.
    """
    predicted = read_manifest(predictions, PREDICTIONS)
    drawn = read_manifest(shards, SHARDS)
    trained = read_manifest(model, MODEL)
    for producer in (drawn, trained):
        require_input(predicted, producer, where=predictions)
    score = read_metrics(metrics_folder, "score")
    if score.get("predictions") != predicted.fingerprint:
        raise LatexifyError(f"{metrics_folder / 'score.json'} belongs to other predictions: run `latexify score` again")
    stages = [name for name in COUNTED_STAGES if not (is_named and name == "train")]
    return ReportInputs(
        manifests={PREDICTIONS.kind: predicted, MODEL.kind: trained, SHARDS.kind: drawn},
        rows=read_rows(predictions / PREDICTIONS_NAME, plots / SAMPLES_NAME),
        score=score,
        stages={name: read_metrics(metrics_folder, name) for name in stages},
        tables=read_tables(plots, score=score),
        history=read_history(model, needed=not is_named),
    )


def read_tables(plots: Path, *, score: Mapping[str, Any]) -> dict[str, list[CsvRow]]:
    """Read the tables that ``latexify score`` wrote with the content of score.json.

    Raises LatexifyError if one is missing or of another version.
    """
    tables = dict(TABLES)
    for key, columns in OPTIONAL_TABLES.items():
        if key in score:
            tables |= columns
    return {name: read_table(plots / f"{name}.csv", columns) for name, columns in tables.items()}


def read_history(model: Path, *, needed: bool) -> list[CsvRow]:
    """Read the learning curves of a model. Raises LatexifyError if they are missing but `needed`."""
    path = model / HISTORY_NAME
    return read_table(path, ("step",), producer=MODEL.producer) if needed or path.is_file() else []


def read_metrics(folder: Path, stage: str) -> dict[str, Any]:
    """Read the JSON object that a stage wrote into the metrics folder."""
    path = folder / f"{stage}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LatexifyError(f"{path} is missing: run `latexify {stage}` first") from None
    except ValueError as error:
        raise LatexifyError(f"{path} is not JSON ({error}): run `latexify {stage}` again") from None
    if not isinstance(content, dict):
        raise LatexifyError(f"{path} is not a JSON object: run `latexify {stage}` again")
    return content


def read_table(path: Path, columns: Sequence[str], *, producer: str = "latexify score") -> list[CsvRow]:
    """Read the rows of a CSV file that must have `columns`; cells stay text."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            rows = list(reader)
    except FileNotFoundError:
        raise LatexifyError(f"{path} is missing: run `{producer}` again") from None
    missing = [column for column in columns if column not in names]
    if missing:
        raise LatexifyError(f"{path} has no column {missing[0]!r}: run `{producer}` again")
    return rows


def read_rows(predictions: Path, samples: Path) -> pa.Table:
    """Join the predictions with the columns of samples.parquet. Raises LatexifyError if they do not fit together."""
    rows = pq.read_table(predictions)
    try:
        scored = pq.read_table(samples)
    except FileNotFoundError:
        raise LatexifyError(f"{samples} is missing: run `latexify score` again") from None
    missing = [column for column in ("key", *FROM_SAMPLES) if column not in scored.column_names]
    if missing or scored["key"].to_pylist() != rows["key"].to_pylist():
        raise LatexifyError(f"{samples} belongs to other predictions or another version: run `latexify score` again")
    for column in (*FROM_SAMPLES, "renders", "visual"):
        if column in scored.column_names:
            rows = rows.append_column(column, scored[column])
    return rows
