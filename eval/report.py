"""The ``report`` stage: one HTML file that a person can read, send and print, with nothing to load from elsewhere."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from eval.charts import Bar, Series, bar_chart, line_chart
from eval.config import ReportParams
from eval.metrics import Edits, count_edits
from eval.predict import KIND, PREDICTIONS_NAME
from eval.samples import Groups, choose, mark_differences, picture
from eval.slices import error_by_length, error_distribution
from eval.typeset import Typesetter
from shards.errors import LatexifyError
from shards.files import write_atomically
from shards.index import KIND as SHARDS_KIND
from shards.index import MADE_BY as SHARDS_MADE_BY
from shards.index import open_split
from shards.manifest import Manifest, read_manifest, require_input
from shards.reader import SampleReader
from trainer.geometry import KIND as MODEL_KIND
from trainer.geometry import MADE_BY as MODEL_MADE_BY
from trainer.history import HISTORY_NAME

REPORT_NAME = "report.html"
COUNTED_STAGES = ("ingest", "vocab", "rasterize", "train")
GROUP_TITLES = {
    "worst": ("Worst", "Most edits for their length; among equals, the most confident first."),
    "random": ("Random", "A fair sample: what to expect."),
    "best": ("Best", "Fewest edits for their length; among equals, the longest first."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What the report is made of, read and checked."""

    manifests: Mapping[str, Manifest]
    rows: pa.Table
    edits: Edits
    score: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]]
    history: list[dict[str, str]]


def run(  # noqa: PLR0913  # the stage's contract
    params: ReportParams,
    *,
    seed: int,
    predictions: Path,
    shards: Path,
    model: Path,
    metrics_folder: Path,
    parameters: Mapping[str, Any],
    out: Path,
) -> Path:
    """Write `out`/report.html and return its path.

    metrics_folder: where the stages left their JSON files. parameters: all of ``params.yaml``, to be shown.

    Raises LatexifyError where predictions, shards, model and score do not belong together.
    """
    inputs = _read(predictions, shards=shards, model=model, metrics_folder=metrics_folder)
    split = inputs.manifests[KIND].params["split"]
    typesetter = Typesetter()
    groups = choose(
        inputs.edits,
        inputs.rows["confidence"].to_numpy(),
        inputs.rows["key"].to_pylist(),
        num=params.num_samples,
        seed=seed,
    )
    cards = _cards(inputs, groups, shards=shards, split=split, typesetter=typesetter)
    environment = Environment(
        loader=PackageLoader("eval"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, number=number)
    html = environment.get_template("report.html.j2").render(
        split=split,
        score=inputs.score,
        charts=_charts(inputs),
        groups=[(name, *GROUP_TITLES[name], cards[name]) for name in GROUP_TITLES],
        stages={name: flatten(inputs.stages[name]) for name in COUNTED_STAGES},
        rejected={name: inputs.stages[name].get("rejected", {}) for name in ("ingest", "rasterize")},
        parameters=flatten(parameters),
        manifests=inputs.manifests,
        glyphs=Markup(typesetter.glyphs()),  # noqa: S704  # built element by element in eval.typeset
    )
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / REPORT_NAME, html.encode())
    return out / REPORT_NAME


def _read(predictions: Path, *, shards: Path, model: Path, metrics_folder: Path) -> _Inputs:
    predicted = read_manifest(predictions, KIND, made_by="latexify predict")
    drawn = read_manifest(shards, SHARDS_KIND, made_by=SHARDS_MADE_BY)
    trained = read_manifest(model, MODEL_KIND, made_by=MODEL_MADE_BY)
    for producer in (drawn, trained):
        require_input(predicted, producer, where=predictions, made_by="latexify predict")
    score = read_metrics(metrics_folder, "score")
    if score.get("predictions") != predicted.fingerprint:
        raise LatexifyError(f"{metrics_folder / 'score.json'} is of other predictions: run `latexify score` again")
    rows = pq.read_table(predictions / PREDICTIONS_NAME)
    with (model / HISTORY_NAME).open(encoding="utf-8", newline="") as file:
        history = list(csv.DictReader(file))
    return _Inputs(
        manifests={KIND: predicted, MODEL_KIND: trained, SHARDS_KIND: drawn},
        rows=rows,
        edits=count_edits(rows["reference"].to_pylist(), rows["prediction"].to_pylist()),
        score=score,
        stages={name: read_metrics(metrics_folder, name) for name in COUNTED_STAGES},
        history=history,
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


def _cards(
    inputs: _Inputs, groups: Groups, *, shards: Path, split: str, typesetter: Typesetter
) -> dict[str, list[dict[str, Any]]]:
    """What is shown of each sample of each group."""
    index = open_split(shards, split)
    row_of = {key: row for row, key in enumerate(index.keys.to_pylist())}
    cards: dict[str, list[dict[str, Any]]] = {}
    with SampleReader(index) as reader:
        for name in GROUP_TITLES:
            cards[name] = []
            for row in getattr(groups, name):
                record = inputs.rows.slice(row, 1).to_pylist()[0]
                pixels = reader.read([row_of[record["key"]]])[0].pixels
                source = mark_differences(record["reference"], record["prediction"])
                cards[name].append(
                    {
                        **record,
                        "picture": picture(pixels),
                        "width": pixels.shape[1],
                        "height": pixels.shape[0],
                        "formulas": [typesetter.draw(record[field]) for field in ("reference", "prediction")],
                        "sources": source,
                        "errors": int(inputs.edits.symbol_errors[row]),
                        "symbols": int(inputs.edits.num_symbols[row]),
                    }
                )
    return cards


def _charts(inputs: _Inputs) -> list[dict[str, Any]]:
    """The charts, each with the numbers behind it as a table."""
    charts = []
    for title, columns, is_share in (
        ("Loss per token", {"train_loss": "training", "valid_loss": "validation"}, False),
        ("Character error rate on validation inks", {"valid_cer": "CER"}, True),
    ):
        series = [_series(inputs.history, column, name) for column, name in columns.items()]
        if any(len(one.x) for one in series):
            drawing = line_chart(series, title=title, x_name="optimizer step", percent=is_share)
            charts.append({"title": title, "svg": Markup(drawing), "rows": _points(series)})  # noqa: S704  # ElementTree
    lengths = error_by_length(inputs.edits)
    bars = [
        Bar(label=row["symbols"], value=row["cer"] or 0.0, note=f"{row['num_samples']} formulas") for row in lengths
    ]
    title = "Character error rate by length of the formula"
    drawing = bar_chart(
        bars, title=title, x_name="LaTeX symbols in the formula", percent=True, reference=inputs.score["cer"]["value"]
    )
    charts.append({"title": title, "svg": Markup(drawing), "rows": lengths})  # noqa: S704  # ElementTree escapes
    counts = error_distribution(inputs.edits)
    bars = [
        Bar(
            label=row["token_errors"],
            value=row["num_samples"] / len(inputs.edits),
            note=f"{row['num_samples']} formulas",
        )
        for row in counts
    ]
    title = "How many mistakes a formula has"
    drawing = bar_chart(bars, title=title, x_name="wrong, missing or surplus symbols", percent=True)
    charts.append({"title": title, "svg": Markup(drawing), "rows": counts})  # noqa: S704  # ElementTree escapes
    return charts


def _series(history: list[dict[str, str]], column: str, name: str) -> Series:
    measured = [row for row in history if row.get(column)]
    return Series(name=name, x=[float(row["step"]) for row in measured], y=[float(row[column]) for row in measured])


def _points(series: list[Series]) -> list[dict[str, Any]]:
    """The rows of a chart's table: one for each x."""
    steps = sorted({x for one in series for x in one.x})
    values = {one.name: dict(zip(one.x, one.y, strict=True)) for one in series}
    return [{"step": int(step), **{name: values[name].get(step) for name in values}} for step in steps]


def flatten(tree: Mapping[str, Any], *, prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as (dotted name, value) rows, in their own order."""
    rows: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            rows += flatten(value, prefix=f"{prefix}{name}.") or [(f"{prefix}{name}", "none")]
        else:
            rows.append((f"{prefix}{name}", value))
    return rows


def percent(value: float | None) -> str:
    """A fraction as a percentage with one decimal."""
    return "n/a" if value is None else f"{100 * value:.1f} %"


def number(value: Any) -> str:
    """A value for a table: integers grouped by thousands, fractions to four digits, lists spelt out."""
    if value is None:
        return "n/a"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, float):
        return f"{value:.4g}"
    return json.dumps(value, ensure_ascii=False)
