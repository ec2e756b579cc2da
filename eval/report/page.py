"""The page of the report: prepares the values that the templates show."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from latexify.eval.metrics.confusion import TokenPair
from latexify.eval.metrics.registry import METRICS
from latexify.eval.metrics.slices import LENGTH_BINS, length_of
from latexify.eval.metrics.structure import STRUCTURES
from latexify.eval.report.cards import Card
from latexify.eval.report.figures import draw_figures
from latexify.eval.report.gallery import GROUPS, GalleryItem
from latexify.eval.report.inputs import ReportInputs
from latexify.eval.report.previous_run import NoPreviousRun, PreviousRun, changes, differences, flatten, obstacles

CONFUSIONS_SHOWN = 20  # maximum number for each kind
SYMBOLS_SHOWN = 24
DIFFERENCES_SHOWN = 60
CARDS_ON_A_PAGE = 12


def environment() -> Environment:
    """Load the templates. All values are escaped, except SVG made by `report.charts` and `metrics.typeset`."""
    templates = Environment(
        loader=PackageLoader("latexify.eval.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(percent=percent, points=points, number=number)
    return templates


def card_bytes(card: Card, *, templates: Environment) -> int:
    """Compute the maximum size of a card in the page."""
    html = templates.get_template("card.html.j2").render(card=card, groups=list(GROUPS), group_names=GROUPS)
    return len(html.encode())


def render(  # noqa: PLR0913  # all are named
    inputs: ReportInputs,
    *,
    templates: Environment,
    previous: PreviousRun | NoPreviousRun,
    gallery: Sequence[GalleryItem[Card]],
    glyphs: str,
    parameters: Mapping[str, Any],
) -> str:
    """Render the page. The formulas of the gallery refer to the SVG `glyphs`; `parameters` are all of params.yaml."""
    script = files("latexify.eval.report").joinpath("templates/report.js").read_text(encoding="utf-8")
    return templates.get_template("report.html.j2").render(
        split=inputs.split,
        score=inputs.score,
        panels=_panels(inputs.score),
        comparison=_comparison(previous, inputs, parameters),
        figures=draw_figures(inputs.history, inputs.tables, inputs.score),
        confusions=_confusions(inputs, gallery),
        symbols=inputs.tables["symbols"][:SYMBOLS_SHOWN],
        gallery=gallery,
        filters=_filters(gallery),
        group_names=GROUPS,
        page_size=CARDS_ON_A_PAGE,
        losses=_losses(inputs.stages),
        how_to_list=inputs.how_to_list,
        stages={name: flatten(content) for name, content in inputs.stages.items()},
        parameters=flatten(parameters),
        manifests=inputs.manifests,
        script=Markup(script),  # noqa: S704  # our own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        glyphs=Markup(glyphs),  # noqa: S704  # latexify.eval.metrics.typeset builds it element by element
    )


def _panels(score: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The large figures at the top: heading, rate and explanation of each metric that has a heading and a value."""
    constant, num_unset = score["constant_answer"], score.get("num_unset_references", 0)
    search = "" if constant["is_exact"] else " (approximate search)"
    values = {metric.name: percent(score[metric.name]["value"]) for metric in METRICS if metric.name in score}
    values["constant_answer"] = f"Best constant answer: {percent(constant['cer'])}{search}."
    values["field_convention"] = _field_convention(score)
    values["unset_references"] = f"{num_unset} references that cannot be typeset are left out." if num_unset else ""
    return [
        {
            "heading": metric.heading,
            "rate": score[metric.name],
            "explanation": metric.explanation.format_map(values).strip(),
        }
        for metric in sorted(METRICS, key=lambda metric: metric.name != "exact_match")
        if metric.heading and metric.name in score and score[metric.name]["value"] is not None
    ]


def _field_convention(score: Mapping[str, Any]) -> str:
    """The sentence on exact match as papers count it; empty for a score of an older version."""
    rate = score.get("exact_match_field")
    if rate is None:
        return ""
    interval = f" ({percent(rate['low'])} to {percent(rate['high'])})" if rate["low"] is not None else ""
    return f"By the convention of most papers, without fonts and the like: {percent(rate['value'])}{interval}."


def confusions_shown(inputs: ReportInputs) -> dict[TokenPair, int]:
    """Return the confusions in the report's tables, each with its number."""
    return {(row["reference"] or None, row["prediction"] or None): i for i, row in enumerate(_most_frequent(inputs))}


def _most_frequent(inputs: ReportInputs) -> list[Mapping[str, str]]:
    """Substitutions have rows of their own: braces and scripts, which go missing in pairs, would fill the table."""
    rows = inputs.tables["confusions"]
    substituted = [row for row in rows if row["kind"] == "substituted"]
    unmatched = [row for row in rows if row["kind"] != "substituted"]
    return [*substituted[:CONFUSIONS_SHOWN], *unmatched[:CONFUSIONS_SHOWN]]


def _filters(gallery: Sequence[GalleryItem[Card]]) -> dict[str, list[str]]:
    """Values of the gallery's filters: only those that some card has."""
    cards = [item.card for item in gallery]
    used = {name for card in cards for name in card.structures}
    lengths = {card.length for card in cards}
    return {
        "structures": [name for name in STRUCTURES if name in used],
        "lengths": [name for name in dict.fromkeys(length_of(first) for first, _ in LENGTH_BINS) if name in lengths],
        "sources": sorted({card.source for card in cards}),
    }


def _confusions(inputs: ReportInputs, gallery: Sequence[GalleryItem[Card]]) -> dict[str, list[dict[str, Any]]]:
    """The confusion tables. occurrences: count of the reference's token. num_shown: cards with the confusion."""
    occurrences = {row["symbol"]: int(row["count"]) for row in inputs.tables["symbols"]}
    tables: dict[str, list[dict[str, Any]]] = {"substituted": [], "unmatched": []}
    for number, row in enumerate(_most_frequent(inputs)):
        tables["substituted" if row["kind"] == "substituted" else "unmatched"].append(
            {
                **row,
                "number": number,
                "count": int(row["count"]),
                "occurrences": occurrences.get(row["reference"]) if row["reference"] else None,
                "num_shown": sum(number in item.card.pairs for item in gallery),
            }
        )
    return tables


def _comparison(
    previous: PreviousRun | NoPreviousRun, inputs: ReportInputs, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The comparison with the previous run, or the reason why there is none."""
    if isinstance(previous, NoPreviousRun):
        return {"run": None, "reason": previous.reason}
    return {
        "run": previous,
        "changes": changes(previous.score, inputs.score),
        "obstacles": obstacles(previous.score, inputs.score),
        "parameters": differences(previous.parameters, parameters)[:DIFFERENCES_SHOWN],
        "stages": [
            row
            for name in inputs.stages
            if previous.stages.get(name)
            for row in differences({name: previous.stages[name]}, {name: inputs.stages[name]})
        ][:DIFFERENCES_SHOWN],
    }


def _losses(stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Inputs that did not become samples: rows of (stage, reason, count)."""
    rows = [
        (stage, reason, count)
        for stage, content in stages.items()
        for reason, count in sorted(content.get("rejected", {}).items(), key=lambda item: (-item[1], item[0]))
    ]
    merged = {name: value for content in stages.values() for name, value in content.items()}
    return {"rows": rows, "inputs": merged.get("inputs"), "samples": merged.get("samples", {})}


def percent(value: float | None) -> str:
    """Format a fraction as a percentage with one decimal."""
    return "n/a" if value is None else f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Format a difference of fractions in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "\u2212")


def number(value: Any) -> str:
    """Format a value for a table: integers grouped by thousands, floats to four digits, lists as JSON."""
    if value is None:
        return "n/a"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}".replace(",", "\u202f")
    if isinstance(value, float):
        return f"{value:.4g}"
    return json.dumps(value, ensure_ascii=False)
