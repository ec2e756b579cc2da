"""Write the card of a published model: README.md with the Hub's front matter. Equal facts give equal bytes.

Front matter: https://huggingface.co/docs/hub/model-cards.
"""

import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from latexify.common.errors import LatexifyError
from latexify.eval.metrics.registry import METRICS
from latexify.eval.report.previous_run import flatten
from latexify.serve.hub.facts import CardFacts
from latexify.serve.hub.licences import ORIGINS

TAGS = ["handwriting", "handwritten-text-recognition", "inkml", "latex", "mathematics", "ocr", "trocr"]


def build_card(facts: CardFacts, *, repo: str, licence: str | None = None) -> str:
    """Write the whole README.md.

    `repo` is the name of the repository on the Hub, or the path of a folder; the example loads the model by it.
    `licence` is an identifier from https://huggingface.co/docs/hub/repositories-licenses, instead of the data's. Raises
    LatexifyError if the licence is unknown.
    """
    licence = licence or facts.licence
    if licence is None:
        raise LatexifyError("the licence of this model's data is unknown: give one with --license, such as cc-by-4.0")
    environment = Environment(
        loader=PackageLoader("latexify.serve.hub"),
        autoescape=False,  # noqa: S701  # Markdown, from our own JSON files
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, count=count)
    return environment.get_template("model_card.md.j2").render(
        front_matter=front_matter(facts, repo=repo, licence=licence),
        facts=facts,
        licence=licence,
        repo=repo,
        evaluation=facts.evaluation,
        rates=rates_of(facts.evaluation.score) if facts.evaluation else [],
        parameters=flatten(facts.manifest.params),
        **_example(facts.geometry),
    )


def front_matter(facts: CardFacts, *, repo: str, licence: str) -> str:
    """Return the card's YAML, which the Hub searches and shows beside the model."""
    score = facts.evaluation.score if facts.evaluation else {}
    results = [
        EvalResult(
            task_type="image-to-text",
            task_name="handwritten mathematics to LaTeX",
            dataset_type="+".join(facts.datasets),
            dataset_name="; ".join(ORIGINS[name].title for name in facts.datasets),
            dataset_split=score["split"],
            metric_type=metric.hub_name,
            metric_name=f"{metric.title} (%)",
            metric_value=round(100 * score[metric.name]["value"], 2),
        )
        for metric in METRICS
        if metric.hub_name is not None and score
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="image-to-text",
        license=licence,
        base_model=None if facts.base == "scratch" else facts.base,
        tags=TAGS,
        metrics=sorted(result.metric_type for result in results) or None,
        model_name=repo.rsplit("/", 1)[-1],
        eval_results=results or None,
    ).to_yaml()


def licence_of(card: str) -> str | None:
    """Return the licence in a card's front matter; None if it has none."""
    found = re.search(r"^license: *(\S+)$", card.partition("---\n")[2].partition("\n---")[0], re.MULTILINE)
    return found[1] if found else None


def rates_of(score: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    """Return title and values of the figures that have an interval; docs/reference/metrics.md defines them."""
    rates = ((metric.title, score.get(metric.name)) for metric in METRICS if metric.on_card)
    return [(title, rate) for title, rate in rates if rate is not None and rate["value"] is not None]


def _example(geometry: Mapping[str, float | None]) -> dict[str, Any]:
    """Coordinates of the card's example: a cross, drawn `zoom` times enlarged so that reducing it smooths its edges."""
    zoom = 4
    height_px, width_px = int(geometry["height_px"] or 0), int(geometry["width_px"] or 0)
    room_px = min(height_px, width_px) - 2 * (geometry["margin_px"] or 0) - (geometry["pen_width_px"] or 0)
    half_px = min(room_px, geometry.get("max_stroke_px") or room_px) / 2
    left, right = (round(zoom * (width_px / 2 + side * half_px)) for side in (-1, 1))
    top, bottom = (round(zoom * (height_px / 2 + side * half_px)) for side in (-1, 1))
    return {
        "zoom": zoom,
        "enlarged": (zoom * width_px, zoom * height_px),
        "falling": [(left, top), (right, bottom)],
        "rising": [(left, bottom), (right, top)],
        "pen": round(zoom * (geometry["pen_width_px"] or 1)),
    }


def percent(fraction: float) -> str:
    """Format a fraction as in `12.3 %`."""
    return f"{100 * fraction:.1f} %"


def count(number: float) -> str:
    """Format a whole number with commas between thousands."""
    return f"{number:,.0f}"
