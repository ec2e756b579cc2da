"""The card of a published model: a README.md with front matter as the Hub wants it, and what a reader must know.

Front matter: https://huggingface.co/docs/hub/model-cards. The same facts give the same bytes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from latexify.common.errors import LatexifyError
from latexify.eval.score.summary import TITLES
from latexify.serve.hub.facts import CardFacts

TAGS = ["handwriting", "handwritten-text-recognition", "inkml", "latex", "mathematics", "ocr", "trocr"]
HUB_METRICS = {"cer": "cer", "exact_match": "exact_match"}
"""Which figures the Hub has a name for."""


def build_card(facts: CardFacts, *, repo: str, licence: str | None = None) -> str:
    """The whole README.md.

    repo: name of the repository on the Hub, or the path of a folder, by which the example loads the model. licence: an
    identifier of the Hub's list (https://huggingface.co/docs/hub/repositories-licenses) that replaces the data's.

    Raises LatexifyError where nobody has said what the licence is.
    """
    licence = licence or facts.licence
    if licence is None:
        raise LatexifyError("the licence of this model's data is not known: name it with --license, such as cc-by-4.0")
    environment = Environment(
        loader=PackageLoader("latexify.serve.hub"),
        autoescape=False,  # noqa: S701  # Markdown, of our own JSON files
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
        judgement=facts.judgement,
        rates=rates_of(facts.judgement.score) if facts.judgement else [],
        parameters=list(flat(facts.manifest.params)),
        **_example(facts.geometry),
    )


def front_matter(facts: CardFacts, *, repo: str, licence: str) -> str:
    """The YAML between the card's dashes: what the Hub searches and shows beside the model."""
    score = facts.judgement.score if facts.judgement else None
    results = (
        None
        if score is None
        else [
            EvalResult(
                task_type="image-to-text",
                task_name="handwritten mathematics to LaTeX",
                dataset_type=facts.dataset,
                dataset_name=facts.origins[0].title,
                dataset_split=score["split"],
                metric_type=metric,
                metric_name=f"{TITLES[name]} (%)",
                metric_value=round(100 * score[name]["value"], 2),
            )
            for name, metric in HUB_METRICS.items()
        ]
    )
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="image-to-text",
        license=licence,
        base_model=None if facts.base == "scratch" else facts.base,
        tags=TAGS,
        metrics=sorted(HUB_METRICS.values()) if results else None,
        model_name=repo.rsplit("/", 1)[-1],
        eval_results=results,
    ).to_yaml()


def rates_of(score: Mapping[str, Any]) -> list[tuple[str, Mapping[str, float]]]:
    """The figures that have an interval, with what they are called; docs/reference/metrics.md defines them."""
    found = ((title, score.get(name)) for name, title in TITLES.items())
    return [(title, rate) for title, rate in found if rate is not None and rate["value"] is not None]


def _example(geometry: Mapping[str, float | None]) -> dict[str, Any]:
    """What the card's example draws: a cross on the model's canvas, `zoom` times enlarged to be smoothed."""
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


def percent(share: float) -> str:
    """A share of 1 with a decimal, such as `12.3 %`."""
    return f"{100 * share:.1f} %"


def count(number: float) -> str:
    """A whole number with commas between thousands."""
    return f"{number:,.0f}"


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of nested mappings with its dotted name."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
