"""How well a model reads, for its card: what the judge wrote, checked to be of this model's predictions."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import PREDICTIONS
from latexify.common.errors import LatexifyError

MAX_CONFUSIONS = 12
"""So many of the commonest mistakes stand in a card."""
BRACES = {"{", "}"}
"""Every wrong structure shifts some: they would crowd out the symbols."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Formulas of a kind, and how they were read. cer, exact_match: shares of 1."""

    name: str
    num_samples: int
    cer: float
    exact_match: float


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """A mistake that is made often. kind: substituted, missing or extra; reference, prediction: tokens, maybe empty."""

    kind: str
    reference: str
    prediction: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the judge found. score: ``metrics/score.json``. seconds: that reading a formula took, in the mean.

    lengths, structures: the same formulas by number of symbols and by what is in them. confusions: the commonest, those
    of braces left out.
    """

    score: Mapping[str, Any]
    seconds: float
    lengths: list[Group]
    structures: list[Group]
    confusions: list[Confusion]


def read_judgement(model: Manifest, *, data: Path, metrics: Path) -> Judgement:
    """The figures and tables, once it is known that they are of this model's predictions.

    model: the model folder's manifest. data, metrics: folders of the artifacts and of the stages' JSON files.

    Raises LatexifyError where they are missing, or another model's.
    """
    remedy = "run `latexify predict` and `latexify score`, or publish without figures (--no-figures)"
    score = _read_json(metrics / "score.json")
    if score is None:
        raise LatexifyError(f"{metrics / 'score.json'} is missing: {remedy}")
    predictions = read_manifest(data / "predictions", PREDICTIONS)
    if predictions.inputs.get("model") != model.fingerprint or score.get("predictions") != predictions.fingerprint:
        raise LatexifyError(f"{metrics / 'score.json'} does not judge this model: {remedy}")
    plots = data / "plots"
    return Judgement(
        score=score,
        seconds=predictions.content["seconds"] / max(predictions.content["num_samples"], 1),
        lengths=_read_groups(plots / "error_by_length.csv", column="symbols"),
        structures=_read_groups(plots / "error_by_structure.csv", column="structure"),
        confusions=[
            Confusion(
                kind=row["kind"], reference=row["reference"], prediction=row["prediction"], count=int(row["count"])
            )
            for row in _read_rows(plots / "confusions.csv", columns={"kind", "reference", "prediction", "count"})
            if not BRACES & {row["reference"], row["prediction"]}
        ][:MAX_CONFUSIONS],
    )


def _read_groups(path: Path, *, column: str) -> list[Group]:
    return [
        Group(
            name=row[column],
            num_samples=int(row["num_samples"]),
            cer=float(row["cer"]),
            exact_match=float(row["exact_match"]),
        )
        for row in _read_rows(path, columns={column, "num_samples", "cer", "exact_match"})
    ]


def _read_rows(path: Path, *, columns: set[str]) -> list[dict[str, str]]:
    """The rows of a table that ``score`` wrote."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise LatexifyError(f"{path} cannot be read ({error.strerror}): run `latexify score` again") from None
    if rows and not columns <= rows[0].keys():
        raise LatexifyError(f"{path} lacks {', '.join(sorted(columns - rows[0].keys()))}: run `latexify score` again")
    return rows


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LatexifyError(f"{path} is not JSON ({error}): run the stage that wrote it again") from None
    return content
