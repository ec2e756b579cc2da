"""The ``report`` stage: one HTML file that a person can read, send and print, with nothing to load from elsewhere."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from eval.cards import Card, Pair, make_card
from eval.config import ReportParams
from eval.earlier import EarlierRun, NoEarlierRun, changes, differences, find_earlier, flatten, obstacles
from eval.figures import draw_figures
from eval.gallery import GROUPS, Judged, Shown, collect, draws
from eval.report_inputs import COUNTED_STAGES, Inputs, read_inputs
from eval.slices import LENGTH_BINS, length_of
from eval.structure import STRUCTURES
from eval.typeset import Typesetter
from shards.errors import LatexifyError
from shards.files import write_atomically
from shards.index import open_split
from shards.place import Place
from shards.reader import SampleReader

REPORT_NAME = "report.html"
MAX_BYTES = 5_000_000
"""Of the file: what mail takes, and a phone opens at once."""
MAX_GALLERY_BYTES = 4_000_000
CONFUSIONS_SHOWN = 24
SYMBOLS_SHOWN = 24
DIFFERENCES_SHOWN = 60
CARDS_ON_A_PAGE = 12


def run(  # noqa: PLR0913  # the stage's contract
    params: ReportParams,
    *,
    seed: int,
    predictions: Path,
    shards: Place,
    model: Path,
    plots: Path,
    metrics_folder: Path,
    params_path: Path,
    parameters: Mapping[str, Any],
    out: Path,
) -> Path:
    """Write `out`/report.html, of at most MAX_BYTES bytes, and return its path.

    plots: tables of ``latexify score``. metrics_folder: where the stages left their JSON files. params_path: the
    parameter file, whose earlier versions git knows. parameters: all that it says now, to be shown.

    Raises LatexifyError where predictions, shards, model and score do not belong together.
    """
    inputs = read_inputs(predictions, shards=shards, model=model, plots=plots, metrics_folder=metrics_folder)
    earlier = find_earlier(
        metrics_folder,
        params_path=params_path,
        revision=params.compare_with,
        score=inputs.score,
        stages=COUNTED_STAGES,
    )
    environment = Environment(
        loader=PackageLoader("eval"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(percent=percent, points=points, number=number)
    typesetter = Typesetter()
    confused = inputs.tables["confusions"][:CONFUSIONS_SHOWN]
    gallery = _gallery(
        inputs,
        num_samples=params.num_samples,
        seed=seed,
        shards=shards,
        typesetter=typesetter,
        pairs={(row["reference"] or None, row["prediction"] or None): number for number, row in enumerate(confused)},
        template=environment.get_template("card.html.j2"),
    )
    script = files("eval").joinpath("templates/report.js").read_text(encoding="utf-8")
    html = environment.get_template("report.html.j2").render(
        split=inputs.split,
        score=inputs.score,
        comparison=_comparison(earlier, inputs, parameters),
        figures=draw_figures(inputs.history, inputs.tables, cer=inputs.score["cer"]["value"]),
        confusions=_confusions(confused, inputs, gallery),
        symbols=inputs.tables["symbols"][:SYMBOLS_SHOWN],
        gallery=gallery,
        filters=_filters(gallery),
        group_names=GROUPS,
        page_size=CARDS_ON_A_PAGE,
        losses=_losses(inputs.stages),
        stages={name: flatten(inputs.stages[name]) for name in COUNTED_STAGES},
        parameters=flatten(parameters),
        manifests=inputs.manifests,
        script=Markup(script),  # noqa: S704  # our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        glyphs=Markup(typesetter.glyphs()),  # noqa: S704  # built element by element in eval.typeset
    )
    content = html.encode()
    if len(content) > MAX_BYTES:
        raise LatexifyError(
            f"the report would take {len(content):,} bytes, more than {MAX_BYTES:,}: lower report.num_samples in "
            f"{params_path}"
        )
    write_atomically(out / REPORT_NAME, content)
    return out / REPORT_NAME


def _gallery(
    inputs: Inputs,
    *,
    num_samples: int,
    seed: int,
    shards: Place,
    typesetter: Typesetter,
    pairs: Mapping[Pair, int],
    template: Template,
) -> list[Shown[Card]]:
    """The samples to show, with pictures read from the shards."""
    index = open_split(shards, inputs.split)
    row_of = {key: row for row, key in enumerate(index.keys.to_pylist())}
    records = inputs.rows.to_pylist()
    judged = [_judged(record) for record in records]
    glyph_bytes = 0

    with SampleReader(index) as reader:

        def make(row: int) -> Card:
            pixels = reader.read([row_of[records[row]["key"]]])[0].pixels
            return make_card(records[row], pixels, typesetter=typesetter, confusions=pairs)

        def size_of(card: Card) -> int:
            nonlocal glyph_bytes
            before, glyph_bytes = glyph_bytes, len(typesetter.glyphs())
            return (
                len(template.render(card=card, groups=list(GROUPS), group_names=GROUPS).encode()) + glyph_bytes - before
            )

        shown = collect(
            draws(judged, seed=seed), make=make, size_of=size_of, num_samples=num_samples, max_bytes=MAX_GALLERY_BYTES
        )
    return list(shown.values())


def _judged(record: Mapping[str, Any]) -> Judged:
    return Judged(
        key=record["key"],
        num_errors=record["symbol_errors"],
        error_rate=record["char_errors"] / max(record["num_chars"], 1),
        confidence=record["confidence"],
        classes=(*record["structures"], length_of(record["num_symbols"]), record["source"]),
    )


def _filters(gallery: list[Shown[Card]]) -> dict[str, list[str]]:
    """What the gallery can be narrowed to: only what some card has."""
    cards = [shown.card for shown in gallery]
    used = {name for card in cards for name in card.structures}
    lengths = {card.length for card in cards}
    return {
        "structures": [name for name in STRUCTURES if name in used],
        "lengths": [name for name in dict.fromkeys(length_of(first) for first, _ in LENGTH_BINS) if name in lengths],
        "sources": sorted({card.source for card in cards}),
    }


def _confusions(
    confused: Sequence[Mapping[str, str]], inputs: Inputs, gallery: list[Shown[Card]]
) -> list[dict[str, Any]]:
    """Rows of the confusion table. occurrences: of the reference's token; num_shown: cards that have the confusion."""
    occurrences = {row["symbol"]: int(row["count"]) for row in inputs.tables["symbols"]}
    return [
        {
            **row,
            "count": int(row["count"]),
            "occurrences": occurrences.get(row["reference"]) if row["reference"] else None,
            "num_shown": sum(place in shown.card.pairs for shown in gallery),
        }
        for place, row in enumerate(confused)
    ]


def _comparison(earlier: EarlierRun | NoEarlierRun, inputs: Inputs, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of the run before, or why there is none to speak of."""
    if isinstance(earlier, NoEarlierRun):
        return {"run": None, "reason": earlier.reason}
    return {
        "run": earlier,
        "changes": changes(earlier.score, inputs.score),
        "obstacles": obstacles(earlier.score, inputs.score),
        "parameters": differences(earlier.parameters, parameters)[:DIFFERENCES_SHOWN],
        "stages": [
            row
            for name in COUNTED_STAGES
            for row in differences({name: earlier.stages[name]}, {name: inputs.stages[name]})
            if earlier.stages[name]
        ][:DIFFERENCES_SHOWN],
    }


def _losses(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What did not make it from the inputs to the samples: rows of (stage, reason, count)."""
    rows = [
        (stage, reason, count)
        for stage in ("ingest", "rasterize")
        for reason, count in sorted(stages[stage].get("rejected", {}).items(), key=lambda item: (-item[1], item[0]))
    ]
    return {"rows": rows, "inputs": stages["ingest"].get("inputs"), "samples": stages["rasterize"].get("samples", {})}


def percent(value: float | None) -> str:
    """A fraction as a percentage with one decimal."""
    return "n/a" if value is None else f"{100 * value:.1f} %"


def points(value: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "\u2212") + " points"


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
