"""Tables beside the summary: scores of groups of samples, and symbol confusions."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latexify.artifacts.files import write_atomically
from latexify.eval.metrics.confusion import confusion_rows, count_confusions, symbol_rows
from latexify.eval.metrics.slices import (
    error_by_group,
    error_by_length,
    error_by_lines,
    error_by_structure,
    error_distribution,
    source_of,
)
from latexify.eval.score.summary import System

Table = list[dict[str, Any]]

BY_DATASET = "error_by_dataset"
"""The table that is there only if there are several datasets."""
BY_TRAINING = "error_by_training"
"""The table that is there only if the labels of the training are known."""
OPTIONAL = (BY_DATASET, BY_TRAINING)
IN_TRAINING, NEW = "in_training", "new"
"""Formulas that are the label of a training sample, and those that are not."""

CONFUSIONS_SHOWN = 1000
"""Maximum rows of confusions.csv: in a large split, confusions that occur once or twice are not a pattern."""


def build_tables(  # noqa: PLR0913  # all but the first are named
    system: System,
    *,
    writers: Sequence[str | None] | None = None,
    datasets: Sequence[str] | None = None,
    is_trained: Sequence[bool] | None = None,
    num_resamples: int,
    seed: int,
) -> dict[str, Table]:
    """Build every table, by file name.

    The table by source needs keys; the tables by writer, by dataset and by training need those facts of each sample.
    """
    resampling: dict[str, Any] = {"num_resamples": num_resamples, "seed": seed}
    edits, pairs = system.edits, system.pairs
    confusions = count_confusions(pairs.references, pairs.predictions)
    tables = {
        "error_by_length": error_by_length(edits, **resampling),
        "error_by_structure": error_by_structure(edits, pairs.references, **resampling),
        "error_by_lines": error_by_lines(edits, pairs.references, **resampling),
        "token_errors": error_distribution(edits),
        "symbols": symbol_rows(confusions),
        "confusions": confusion_rows(confusions)[:CONFUSIONS_SHOWN],
    }
    if pairs.keys is not None:
        sources = [source_of(key) for key in pairs.keys.to_pylist()]
        tables["error_by_source"] = error_by_group(edits, sources, column="source", **resampling)
    if writers is not None:
        tables["error_by_writer"] = error_by_group(edits, writers, column="writer", **resampling)
    if datasets is not None:
        tables[BY_DATASET] = error_by_group(edits, datasets, column="dataset", **resampling)
    if is_trained is not None:
        groups = [IN_TRAINING if each else NEW for each in is_trained]
        tables[BY_TRAINING] = error_by_group(edits, groups, column="formula", **resampling)
    return tables


COLUMNS = {"confusions": ("kind", "reference", "prediction", "count")}  # columns of tables that may be empty


def write_tables(folder: Path, tables: Mapping[str, Table]) -> None:
    """Write each table as `folder`/NAME.csv; missing values are empty."""
    for name, rows in tables.items():
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else COLUMNS[name], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(folder / f"{name}.csv", text.getvalue().encode())
