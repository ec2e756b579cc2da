"""The page of the report: everything that was found, brought into the words and rows that the templates show."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from latexify.eval.metrics.slices import LENGTH_BINS, length_of
from latexify.eval.metrics.structure import STRUCTURES
from latexify.eval.report.cards import Card
from latexify.eval.report.figures import draw_figures
from latexify.eval.report.gallery import GROUPS, Shown
from latexify.eval.report.inputs import COUNTED_STAGES, Inputs
from latexify.eval.report.previous_run import NoPreviousRun, PreviousRun, changes, differences, flatten, obstacles

CONFUSIONS_SHOWN = 20
"""Of each kind."""
SYMBOLS_SHOWN = 24
DIFFERENCES_SHOWN = 60
CARDS_ON_A_PAGE = 12


def environment() -> Environment:
    """The templates; whatever they are given is escaped, except SVG that `latexify.eval.report.charts` and `latexify.eval.metrics.typeset` made."""
    made = Environment(
        loader=PackageLoader("latexify.eval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(percent=percent, points=points, number=number)
    return made


def card_bytes(card: Card, *, templates: Environment) -> int:
    """What a card takes in the page, at most."""
    html = templates.get_template("card.html.j2").render(card=card, groups=list(GROUPS), group_names=GROUPS)
    return len(html.encode())


def render(  # noqa: PLR0913  # all are named
    inputs: Inputs,
    *,
    templates: Environment,
    earlier: PreviousRun | NoPreviousRun,
    gallery: Sequence[Shown[Card]],
    glyphs: str,
    parameters: Mapping[str, Any],
) -> str:
    """The page. glyphs: SVG that the formulas of the gallery refer to. parameters: all of params.yaml."""
    script = files("eval").joinpath("templates/report.js").read_text(encoding="utf-8")
    return templates.get_template("report.html.j2").render(
        split=inputs.split,
        score=inputs.score,
        comparison=_comparison(earlier, inputs, parameters),
        figures=draw_figures(
            inputs.history,
            inputs.tables,
            cer=inputs.score["cer"]["value"],
            calibration=inputs.score["calibration"],
        ),
        confusions=_confusions(inputs, gallery),
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
        glyphs=Markup(glyphs),  # noqa: S704  # built element by element in latexify.eval.metrics.typeset
    )


def confusions_shown(inputs: Inputs) -> dict[tuple[str | None, str | None], int]:
    """The (written, read) pairs of the confusion tables, each with its number; None stands for nothing."""
    return {
        (row["reference"] or None, row["prediction"] or None): place for place, row in enumerate(_commonest(inputs))
    }


def _commonest(inputs: Inputs) -> list[Mapping[str, str]]:
    """Substitutions first; braces and scripts, which go missing in pairs, would leave them no room."""
    rows = inputs.tables["confusions"]
    substituted = [row for row in rows if row["kind"] == "substituted"]
    unmatched = [row for row in rows if row["kind"] != "substituted"]
    return [*substituted[:CONFUSIONS_SHOWN], *unmatched[:CONFUSIONS_SHOWN]]


def _filters(gallery: Sequence[Shown[Card]]) -> dict[str, list[str]]:
    """What the gallery can be narrowed to: only what some card has."""
    cards = [shown.card for shown in gallery]
    used = {name for card in cards for name in card.structures}
    lengths = {card.length for card in cards}
    return {
        "structures": [name for name in STRUCTURES if name in used],
        "lengths": [name for name in dict.fromkeys(length_of(first) for first, _ in LENGTH_BINS) if name in lengths],
        "sources": sorted({card.source for card in cards}),
    }


def _confusions(inputs: Inputs, gallery: Sequence[Shown[Card]]) -> dict[str, list[dict[str, Any]]]:
    """The confusion tables. occurrences: of the reference's token; num_shown: cards that have the confusion."""
    occurrences = {row["symbol"]: int(row["count"]) for row in inputs.tables["symbols"]}
    tables: dict[str, list[dict[str, Any]]] = {"substituted": [], "unmatched": []}
    for place, row in enumerate(_commonest(inputs)):
        tables["substituted" if row["kind"] == "substituted" else "unmatched"].append(
            {
                **row,
                "place": place,
                "count": int(row["count"]),
                "occurrences": occurrences.get(row["reference"]) if row["reference"] else None,
                "num_shown": sum(place in shown.card.pairs for shown in gallery),
            }
        )
    return tables


def _comparison(earlier: PreviousRun | NoPreviousRun, inputs: Inputs, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of the run before, or why there is none to speak of."""
    if isinstance(earlier, NoPreviousRun):
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
    return f"{100 * value:+.1f}".replace("-", "\u2212")


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
