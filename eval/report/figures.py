"""What the report shows of a run's curves and tables: charts, each with the numbers behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latexify.eval.report.charts import (
    Bar,
    Dot,
    Reliability,
    Series,
    column_chart,
    interval_chart,
    line_chart,
    reliability_chart,
)

MOST_POINTS = 200
"""Points of a curve: more are not seen, and a long training has a hundred thousand."""
MOST_BARS = 12
SLICES = {
    "error_by_length": ("symbols", "Errors by length of the formula, in symbols"),
    "error_by_structure": ("structure", "Errors by what the formula is built of"),
    "error_by_source": ("source", "Errors by source folder"),
    "error_by_writer": ("writer", "Errors by writer"),
}
"""Tables of parts of the samples: the column that names the part, and the chart's title."""
LONGEST_NAME = 22

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart: `svg` is markup safe to embed. columns, rows: its numbers. note: what the reader should know."""

    title: str
    svg: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The charts of a report: how the model learnt, and where it errs."""

    curves: list[Figure] = field(default_factory=list)
    slices: list[Figure] = field(default_factory=list)


def draw_figures(
    history: Sequence[Row], tables: Mapping[str, Sequence[Row]], *, cer: float, calibration: Mapping[str, Any]
) -> Figures:
    """Every figure there are numbers for.

    history: rows of history.csv. tables: of `latexify.eval.score.tables`, by name, cells as in the CSV files. cer: of all.
    calibration: as in ``metrics/score.json``.
    """
    curves = [
        _curve(history, {"train_loss": "training", "valid_loss": "validation"}, title="Loss per token", percent=False),
        _curve(history, {"valid_cer": "CER"}, title="Character error rate on validation inks", percent=True),
    ]
    slices = [_slice(name, tables.get(name, []), cer=cer) for name in SLICES]
    return Figures(
        curves=[curve for curve in curves if curve],
        slices=[
            *filter(None, slices),
            _distribution(tables["token_errors"]),
            _reliability(tables["reliability"], calibration),
        ],
    )


def _curve(history: Sequence[Row], columns: Mapping[str, str], *, title: str, percent: bool) -> Figure | None:
    series = [_series(history, column, name) for column, name in columns.items()]
    steps = sorted({x for one in series for x in one.x})
    if not steps:
        return None
    values = [dict(zip(one.x, one.y, strict=True)) for one in series]
    return Figure(
        title=title,
        svg=line_chart(series, title=title, x_name="optimizer step", percent=percent),
        columns=["step", *(one.name for one in series)],
        rows=[[int(step), *(value.get(step) for value in values)] for step in steps],
    )


def _series(history: Sequence[Row], column: str, name: str) -> Series:
    measured = thinned([row for row in history if row.get(column)])
    return Series(name=name, x=[float(row["step"]) for row in measured], y=[float(row[column]) for row in measured])


def thinned(rows: Sequence[Row]) -> list[Row]:
    """At most MOST_POINTS rows, evenly spread, first and last among them."""
    if len(rows) <= MOST_POINTS:
        return list(rows)
    return [rows[place * (len(rows) - 1) // (MOST_POINTS - 1)] for place in range(MOST_POINTS)]


def _slice(name: str, table: Sequence[Row], *, cer: float) -> Figure | None:
    """A table as a chart of its largest parts; None where there are no parts to compare."""
    column, title = SLICES[name]
    measured = [row for row in table if row["cer"]]
    if len(measured) < 2:
        return None
    shown = measured[:MOST_BARS]
    bars = [
        Bar(
            label=f"{_short(row[column])}  ({row['num_samples']})",
            value=float(row["cer"]),
            low=float(row["cer_low"]) if row["cer_low"] else None,
            high=float(row["cer_high"]) if row["cer_high"] else None,
            note=f"{row[column]}: {row['num_samples']} formulas, {float(row['exact_match']):.1%} exact",
        )
        for row in shown
    ]
    rates = ("cer", "cer_low", "cer_high", "exact_match")
    return Figure(
        title=title,
        svg=interval_chart(bars, title=title, reference=cer),
        columns=[column, "formulas", "CER", "from", "to", "exact match"],
        rows=[[row[column], int(row["num_samples"]), *(_share(row[rate]) for rate in rates)] for row in shown],
        note=f"The {len(shown)} largest of {len(measured)}." if len(shown) < len(measured) else "",
    )


def _distribution(table: Sequence[Row]) -> Figure:
    total = sum(int(row["num_samples"]) for row in table)
    shares = [int(row["num_samples"]) / total for row in table]
    bars = [
        Bar(label=row["token_errors"], value=share, note=f"{row['num_samples']} formulas")
        for row, share in zip(table, shares, strict=True)
    ]
    title = "How many mistakes a formula has"
    return Figure(
        title=title,
        svg=column_chart(bars, title=title, x_name="wrong, missing or surplus symbols"),
        columns=["mistakes", "formulas", "share"],
        rows=[
            [row["token_errors"], int(row["num_samples"]), _share(share)]
            for row, share in zip(table, shares, strict=True)
        ],
    )


RELIABILITY_NAMES = {"calibrated": "calibrated", "raw": "raw"}
"""What the report calls the kinds of confidence in reliability.csv, in the order drawn."""


def _reliability(table: Sequence[Row], calibration: Mapping[str, Any]) -> Figure:
    """How often answers are right, by how sure the model is of them."""
    kinds = {kind: [row for row in table if row["confidence"] == kind] for kind in RELIABILITY_NAMES}
    series = [
        Reliability(name=RELIABILITY_NAMES[kind], points=[_dot(row, rows) for row in rows])
        for kind, rows in kinds.items()
        if rows
    ]
    title = "How often it is right, by how sure it is"
    error = f"Expected calibration error {_share(calibration['error'])}"
    return Figure(
        title=title,
        svg=reliability_chart(series, title=title),
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
        note=f"{error}, {_share(calibration['error_raw'])} before calibration."
        if calibration["is_calibrated"]
        else f"{error}; the model is not calibrated.",
    )


def _dot(row: Row, rows: Sequence[Row]) -> Dot:
    return Dot(
        x=float(row["mean_confidence"]),
        y=float(row["right"]),
        low=float(row["right_low"]),
        high=float(row["right_high"]),
        share=int(row["num_samples"]) / sum(int(one["num_samples"]) for one in rows),
        note=f"{row['num_samples']} formulas, {_share(row['mean_confidence'])} sure: {_share(row['right'])} right",
    )


def _share(value: str | float) -> str:
    return f"{float(value):.1%}" if value != "" else ""


def _short(name: str) -> str:
    """A name that fits beside its bar; of a path, the end says most."""
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]
