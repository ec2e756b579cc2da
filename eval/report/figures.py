"""Charts of a run's learning curves and tables, each with its numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latexify.eval.metrics.reliability import ALTERNATIVES, expected_error
from latexify.eval.report import charts
from latexify.eval.report.charts import Bar, Dot, Series

MOST_POINTS = 200  # maximum points of a curve: more cannot be seen, and a long training has a hundred thousand
MOST_BARS = 12
SLICES = {
    "error_by_dataset": ("dataset", "Error rate by dataset"),
    "error_by_training": ("formula", "Error rate of formulas in training, and of new ones"),
    "error_by_length": ("symbols", "Error rate by length of the formula, in symbols"),
    "error_by_structure": ("structure", "Error rate by structure"),
    "error_by_source": ("source", "Error rate by source folder"),
    "error_by_writer": ("writer", "Error rate by writer"),
}
"""Tables of groups of samples: the column that names the group, and the chart's title."""
PLAIN_NAMES = {"error_by_training": {"in_training": "in training"}}
"""Groups whose name in a table is a code, as a reader is shown them."""
LONGEST_NAME = 22

CsvRow = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart and its numbers."""

    title: str
    svg: str  # markup that is safe to embed
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""  # a remark for the reader


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFigures:
    """The charts of a report: learning curves, and charts of the errors."""

    curves: list[Figure]
    slices: list[Figure]


def draw_figures(
    history: Sequence[CsvRow], tables: Mapping[str, Sequence[CsvRow]], score: Mapping[str, Any]
) -> ReportFigures:
    """Draw every chart that has numbers, from history.csv, the tables of ``latexify score`` and its JSON."""
    curves = [
        _curve(history, {"train_loss": "training", "valid_loss": "validation"}, title="Loss per token", percent=False),
        _curve(history, {"valid_cer": "CER"}, title="Character error rate on validation inks", percent=True),
    ]
    slices = [
        *(_slice(name, tables.get(name, []), cer=score["cer"]["value"]) for name in SLICES),
        _distribution(tables["token_errors"]),
        _reliability(tables["reliability"], score["calibration"]),
    ]
    return ReportFigures(curves=[curve for curve in curves if curve], slices=[figure for figure in slices if figure])


def _curve(history: Sequence[CsvRow], columns: Mapping[str, str], *, title: str, percent: bool) -> Figure | None:
    series = [_series(history, column, name) for column, name in columns.items()]
    steps = sorted({x for line in series for x in line.x})
    if not steps:
        return None
    values = [dict(zip(line.x, line.y, strict=True)) for line in series]
    return Figure(
        title=title,
        svg=charts.line_chart(series, title=title, x_name="optimizer step", percent=percent),
        columns=["step", *(line.name for line in series)],
        rows=[[int(step), *(value.get(step) for value in values)] for step in steps],
    )


def _series(history: Sequence[CsvRow], column: str, name: str) -> Series:
    measured = thinned([row for row in history if row.get(column)])
    return Series(name=name, x=[float(row["step"]) for row in measured], y=[float(row[column]) for row in measured])


def thinned(rows: Sequence[CsvRow]) -> list[CsvRow]:
    """Keep at most MOST_POINTS rows, evenly spaced, including the first and the last."""
    if len(rows) <= MOST_POINTS:
        return list(rows)
    return [rows[i * (len(rows) - 1) // (MOST_POINTS - 1)] for i in range(MOST_POINTS)]


def _slice(name: str, table: Sequence[CsvRow], *, cer: float) -> Figure | None:
    """A chart of the largest groups of a table; None if there are fewer than two."""
    column, title = SLICES[name]
    measured = [row for row in table if row["cer"]]
    if len(measured) < 2:
        return None
    shown = measured[:MOST_BARS]
    plain = PLAIN_NAMES.get(name, {})
    names = [plain.get(row[column], row[column]) for row in shown]
    bars = [
        Bar(
            label=f"{_short(group)}  ({row['num_samples']})",
            value=float(row["cer"]),
            low=float(row["cer_low"]) if row["cer_low"] else None,
            high=float(row["cer_high"]) if row["cer_high"] else None,
            note=f"{group}: {row['num_samples']} formulas, {float(row['exact_match']):.1%} exact",
        )
        for group, row in zip(names, shown, strict=True)
    ]
    rates = ("cer", "cer_low", "cer_high", "exact_match", "exact_match_field")
    return Figure(
        title=title,
        svg=charts.interval_chart(bars, title=title, reference=cer),
        columns=[column, "formulas", "CER", "from", "to", "exact match", "exact match (field)"],
        rows=[
            [group, int(row["num_samples"]), *(_share(row[rate]) for rate in rates)]
            for group, row in zip(names, shown, strict=True)
        ],
        note=f"The largest {len(shown)} of {len(measured)} groups." if len(shown) < len(measured) else "",
    )


def _distribution(table: Sequence[CsvRow]) -> Figure:
    counts = {row["token_errors"]: int(row["num_samples"]) for row in table}
    shares = {label: count / sum(counts.values()) for label, count in counts.items()}
    bars = [Bar(label=label, value=shares[label], note=f"{count} formulas") for label, count in counts.items()]
    title = "Errors per formula"
    return Figure(
        title=title,
        svg=charts.column_chart(bars, title=title, x_name="wrong, missing or surplus symbols"),
        columns=["errors", "formulas", "share"],
        rows=[[label, count, _share(shares[label])] for label, count in counts.items()],
    )


def _reliability(table: Sequence[CsvRow], calibration: Mapping[str, Any]) -> Figure:
    """The reliability diagram: how often predictions are right, by confidence."""
    kinds = {kind: [row for row in table if row["confidence"] == kind] for kind in ("calibrated", "raw", ALTERNATIVES)}
    series = {kind: [_dot(row, rows) for row in rows] for kind, rows in kinds.items() if rows}
    title = "How often predictions are right, by confidence"
    error = f"Expected calibration error {_share(expected_error(calibration))}"
    further = ""
    if "ece_chance" in calibration:
        further += f" Exactly true confidences would have {_share(calibration['ece_chance'])} by chance."
    if "ece_alternatives" in calibration:
        number, error_of_them = calibration["num_alternatives"], _share(calibration["ece_alternatives"])
        further += f" Of {number:,} further answers: {error_of_them}."
    return Figure(
        title=title,
        svg=charts.reliability_chart(series, title=title),
        columns=["confidence", "from", "to", "formulas", "mean confidence", "right", "at least", "at most"],
        rows=[
            [
                row["confidence"],
                *(_share(row[end]) for end in ("from", "to")),
                int(row["num_samples"]),
                *(_share(row[rate]) for rate in ("mean_confidence", "right", "right_low", "right_high")),
            ]
            for row in table
        ],
        note=(
            f"{error}, {_share(calibration['error_raw'])} before calibration."
            if calibration["is_calibrated"]
            else f"{error}; the model is not calibrated."
        )
        + further,
    )


def _dot(row: CsvRow, rows: Sequence[CsvRow]) -> Dot:
    return Dot(
        x=float(row["mean_confidence"]),
        y=float(row["right"]),
        low=float(row["right_low"]),
        high=float(row["right_high"]),
        share=int(row["num_samples"]) / sum(int(other["num_samples"]) for other in rows),
        note=f"{row['num_samples']} at confidence {_share(row['mean_confidence'])}, {_share(row['right'])} right",
    )


def _share(value: str | float) -> str:
    return f"{float(value):.1%}" if value != "" else ""


def _short(name: str) -> str:
    """A name that fits beside its bar; paths are cut at the start."""
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]
