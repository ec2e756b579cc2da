"""The ``score`` stage: predictions in, figures with their uncertainty out."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from eval.baseline import best_constant_answer
from eval.bootstrap import intervals
from eval.columns import read_pairs
from eval.config import ScoreParams
from eval.metrics import RATES, Edits, count_edits
from pipeline import latex
from shards.errors import LatexifyError
from shards.files import write_atomically, write_json
from shards.manifest import read_manifest

LENGTH_BINS = ((0, 0), (1, 5), (6, 10), (11, 15), (16, 20), (21, 30), (31, 40), (41, 60), (61, None))
"""Symbols of a reference, first and last of each bin; the last bin is open."""
MOST_ERRORS_SHOWN = 10
TITLES = {
    "cer": "character error rate",
    "token_cer": "token error rate",
    "exact_match": "exact match",
    "within_1": "at most one error",
    "within_2": "at most two errors",
    "within_3": "at most three errors",
}


def run(params: ScoreParams, *, seed: int, predictions: Path, metrics: Path, plots: Path) -> dict[str, Any]:
    """Judge the predictions of `predictions` (a folder that ``latexify predict`` wrote).

    Writes `metrics` (a JSON file) and `plots`/error_by_length.csv and token_errors.csv. Returns the metrics.
    """
    manifest = read_manifest(predictions, "predictions", made_by="latexify predict")
    if manifest.params.get("normalizer_version") != latex.NORMALIZER_VERSION:
        raise LatexifyError(
            f"{predictions} was normalised by version {manifest.params.get('normalizer_version')}, this is version "
            f"{latex.NORMALIZER_VERSION}: run `latexify predict` again"
        )
    references, predicted = read_pairs(
        predictions / "predictions.parquet", reference_column="reference", prediction_column="prediction"
    )
    edits = count_edits(references, predicted)
    where = str(predictions)
    result = {
        "split": manifest.params["split"],
        **summarize(edits, references, num_resamples=params.bootstrap_samples, seed=seed, where=where),
        "normalizer_version": latex.NORMALIZER_VERSION,
        "predictions": manifest.fingerprint,
    }
    _write_csv(plots / "error_by_length.csv", error_by_length(edits))
    _write_csv(plots / "token_errors.csv", error_distribution(edits))
    write_json(metrics, result)
    return result


def run_file(  # noqa: PLR0913  # all are named
    params: ScoreParams,
    *,
    file: Path,
    seed: int,
    reference_column: str = "reference",
    prediction_column: str = "prediction",
    normalize: bool = True,
) -> dict[str, Any]:
    """Judge any table (.parquet, .csv, .jsonl) of references and predictions, whoever made it. Writes nothing.

    normalize: bring both columns into the normal form first; otherwise they are compared as they stand.
    """
    references, predictions = read_pairs(file, reference_column=reference_column, prediction_column=prediction_column)
    if normalize:
        references = [latex.normalize(text) for text in references]
        predictions = [latex.normalize(text) for text in predictions]
    edits = count_edits(references, predictions)
    return {
        **summarize(edits, references, num_resamples=params.bootstrap_samples, seed=seed, where=str(file)),
        "normalizer_version": latex.NORMALIZER_VERSION if normalize else None,
    }


def summarize(edits: Edits, references: Sequence[str], *, num_resamples: int, seed: int, where: str) -> dict[str, Any]:
    """Every rate with its 95 % interval, the counts behind them, and the best constant answer."""
    score = edits.score()
    if score.num_chars == 0:
        raise LatexifyError(f"{where}: every reference is empty, so there is no error rate: check the reference column")
    bounds = intervals(edits, num_resamples=num_resamples, seed=seed)
    constant = best_constant_answer([text.strip() for text in references])
    rates = {
        name: {"value": value, "low": bounds[name][0], "high": bounds[name][1]} for name, value in score.rates().items()
    }
    return {
        **rates,
        **asdict(score),
        "constant_answer": {
            "answer": constant.answer,
            "cer": constant.cer,
            "is_exact": constant.is_exact,
        },
        "bootstrap_samples": num_resamples,
    }


def describe(result: Mapping[str, Any]) -> str:
    """What :func:`run` and :func:`run_file` found, for a terminal."""
    lines = [
        f"{TITLES[name]:<22}{result[name]['value']:>7.1%}   95 % interval {result[name]['low']:.1%} to "
        f"{result[name]['high']:.1%}"
        for name in RATES
    ]
    constant = result["constant_answer"]
    return "\n".join(
        [
            f"{result['num_samples']} samples",
            *lines,
            f"best constant answer: {constant['cer']:.1%} character error rate, with {constant['answer']!r}",
        ]
    )


def error_by_length(edits: Edits) -> list[dict[str, Any]]:
    """One row for each bin of LENGTH_BINS that holds samples; a rate without a denominator is empty."""
    rows = []
    for first, last in LENGTH_BINS:
        in_bin = (edits.num_symbols >= first) & (edits.num_symbols <= (np.inf if last is None else last))
        if not in_bin.any():
            continue
        score = edits.select(in_bin).score()
        label = f"{first}+" if last is None else f"{first}-{last}" if first != last else f"{first}"
        rates = {name: score.rates()[name] for name in ("cer", "token_cer", "exact_match")}
        rows.append({"symbols": label, "num_samples": score.num_samples, **rates})
    return rows


def error_distribution(edits: Edits) -> list[dict[str, Any]]:
    """How many samples have 0, 1, 2 … token errors (spaces left out); the last row holds all beyond."""
    capped = np.minimum(edits.symbol_errors, MOST_ERRORS_SHOWN)
    counts = np.bincount(capped, minlength=MOST_ERRORS_SHOWN + 1).tolist()
    labels = [*map(str, range(MOST_ERRORS_SHOWN)), f"{MOST_ERRORS_SHOWN}+"]
    return [{"token_errors": label, "num_samples": count} for label, count in zip(labels, counts, strict=True)]


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
