"""What the report is made of: read, and checked to be of one run."""

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

COUNTED_STAGES = ("ingest", "vocab", "rasterize", "train")
"""Stages before the judge that leave metrics."""
TABLES = {
    "error_by_length": ("symbols", "num_samples", "cer", "cer_low", "cer_high", "exact_match"),
    "error_by_structure": ("structure", "num_samples", "cer", "cer_low", "cer_high", "exact_match"),
    "error_by_source": ("source", "num_samples", "cer", "cer_low", "cer_high", "exact_match"),
    "error_by_writer": ("writer", "num_samples", "cer", "cer_low", "cer_high", "exact_match"),
    "token_errors": ("token_errors", "num_samples"),
    "reliability": ("confidence", "from", "to", "num_samples", "mean_confidence", "right", "right_low", "right_high"),
    "symbols": ("symbol", "count", "right", "substituted", "missing", "extra", "recall"),
    "confusions": ("kind", "reference", "prediction", "count"),
}
"""Tables of ``latexify score`` and the columns that are shown."""
FROM_SAMPLES = ("num_chars", "char_errors", "num_symbols", "symbol_errors", "source", "writer", "structures")

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything of one run.

    rows: the predictions with what ``latexify score`` found of each (`visual` and `renders` where it typeset them).
    tables: cells as they stand in the CSV files. history: rows of history.csv.
    """

    manifests: Mapping[str, Manifest]
    rows: pa.Table
    score: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]
    tables: Mapping[str, Sequence[Row]]
    history: Sequence[Row]

    @property
    def split(self) -> str:
        """Of the samples that were read."""
        return str(self.manifests[PREDICTIONS.kind].params["split"])


def read_inputs(predictions: Path, *, shards: Location, model: Path, plots: Path, metrics_folder: Path) -> Inputs:
    """Read all of it. Raises LatexifyError where something is missing, or is of another run than the rest."""
    predicted = read_manifest(predictions, PREDICTIONS)
    drawn = read_manifest(shards, SHARDS)
    trained = read_manifest(model, MODEL)
    for producer in (drawn, trained):
        require_input(predicted, producer, where=predictions)
    score = read_metrics(metrics_folder, "score")
    if score.get("predictions") != predicted.fingerprint:
        raise LatexifyError(f"{metrics_folder / 'score.json'} is of other predictions: run `latexify score` again")
    return Inputs(
        manifests={PREDICTIONS.kind: predicted, MODEL.kind: trained, SHARDS.kind: drawn},
        rows=_read_rows(predictions / PREDICTIONS_NAME, plots / SAMPLES_NAME),
        score=score,
        stages={name: read_metrics(metrics_folder, name) for name in COUNTED_STAGES},
        tables={name: read_table(plots / f"{name}.csv", columns) for name, columns in TABLES.items()},
        history=read_table(model / HISTORY_NAME, ("step",), producer=MODEL.producer),
    )


def read_metrics(folder: Path, stage: str) -> dict[str, Any]:
    """The JSON object that a stage left in the metrics folder."""
    path = folder / f"{stage}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LatexifyError(f"{path} is missing: run `latexify {stage}` first") from None
    except ValueError as error:
        raise LatexifyError(f"{path} is not JSON ({error}): run `latexify {stage}` again") from None
    if not isinstance(content, dict):
        raise LatexifyError(f"{path} holds no JSON object: run `latexify {stage}` again")
    return content


def read_table(path: Path, columns: Sequence[str], *, producer: str = "latexify score") -> list[Row]:
    """The rows of a CSV file, which must have `columns`; cells as they stand there."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            found = reader.fieldnames or []
            rows = list(reader)
    except FileNotFoundError:
        raise LatexifyError(f"{path} is missing: run `{producer}` again") from None
    missing = [column for column in columns if column not in found]
    if missing:
        raise LatexifyError(f"{path} has no column {missing[0]!r}: run `{producer}` again")
    return rows


def _read_rows(predictions: Path, samples: Path) -> pa.Table:
    """The predictions, with the columns of the samples beside them."""
    rows = pq.read_table(predictions)
    try:
        judged = pq.read_table(samples)
    except FileNotFoundError:
        raise LatexifyError(f"{samples} is missing: run `latexify score` again") from None
    missing = [column for column in ("key", *FROM_SAMPLES) if column not in judged.column_names]
    if missing or judged["key"].to_pylist() != rows["key"].to_pylist():
        raise LatexifyError(f"{samples} is of other predictions, or of another version: run `latexify score` again")
    for column in (*FROM_SAMPLES, "renders", "visual"):
        if column in judged.column_names:
            rows = rows.append_column(column, judged[column])
    return rows
