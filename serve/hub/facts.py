"""Gather the facts of a model card from the model's folder and from the artifacts that it was made from.

Every artifact is checked by its fingerprint, so that a card has no figures of another model and no data that this model
was not trained on.
"""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from safetensors import SafetensorError, safe_open

from latexify.artifacts import names
from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import ARTIFACTS, MODEL, PREDICTIONS
from latexify.common.errors import LatexifyError, one_line
from latexify.pipeline.source.datasets import Origin
from latexify.serve.hub.licences import ORIGINS, PERMISSIVE, common_licence, dataset_names, origins

REQUIRED_FILES = (
    *(names.CONFIG_NAME, names.GEOMETRY_NAME, names.WEIGHTS_NAME),
    *("preprocessor_config.json", "tokenizer_config.json"),
)
"""Without one of these, `from_pretrained` or the recogniser fails on the published model."""
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""Tensors that batch norms store beside their parameters."""
MAX_MISTAKES = 12  # number of the most common mistakes in a card
BRACES = {"{", "}"}  # left out of the mistakes: every wrong structure moves some, which would hide the symbols


@dataclass(frozen=True, kw_only=True)
class GroupScores:
    """Scores of the formulas of one kind; `cer` and `exact_match` are fractions."""

    name: str
    num_samples: int
    cer: float
    exact_match: float


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How well a model recognises its test split."""

    score: Mapping[str, Any]  # content of metrics/score.json
    seconds: float  # mean time for one formula
    lengths: list[GroupScores]  # by number of symbols
    structures: list[GroupScores]  # by the structures in a formula
    mistakes: list[dict[str, str]]  # the most common rows of confusions.csv, without those of braces


@dataclass(frozen=True, kw_only=True)
class TrainingHistory:
    """Optimizer steps, seconds of training (validation excluded) and the best CER of all validations."""

    num_steps: int
    seconds: float
    best_cer: float


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Everything that goes into a card."""

    manifest: Manifest
    geometry: Mapping[str, float | None]  # the canvas, as in latexify.json
    num_parameters: int
    num_vocabulary: int  # rows of the decoder's embedding
    datasets: list[str]  # their names in params.yaml
    origins: list[Origin]  # of the datasets, and of the data that they were enriched with
    base_licence: str | None  # on the card of the base model, if that is a folder with a card
    num_samples: Mapping[str, int]  # by split, if the shards are available
    num_bytes: int  # size of the weights' file
    evaluation: Evaluation | None  # None if the card is to have no figures
    history: TrainingHistory | None  # None if the folder has no history

    @property
    def base(self) -> str:
        """The model that training started from."""
        return str(self.manifest.params["model"]["base"])

    @property
    def licence(self) -> str | None:
        """Licence that follows from data and base model; None if only the publisher can know it."""
        own = common_licence(self.datasets)
        if self.base_licence in {None, own}:
            return own
        return self.base_licence if own == PERMISSIVE else None


def read_facts(
    model: Path, *, data: Path, metrics: Path, dataset: str | None = None, with_figures: bool = True
) -> CardFacts:
    """Gather the facts of a model.

    Of the artifacts in `data` (``data/``), only those that the model was made from are used. `dataset` is a name of
    `latexify.serve.hub.licences.ORIGINS`, needed if the data is no longer available. `metrics` is the folder of the
    stages' JSON files, which are read with the evaluation.

    Raises:
        LatexifyError: If the model is incomplete, its data is unknown, or the figures are missing or of another model.
    """
    manifest, num_parameters = check_model(model)
    config = json.loads((model / names.CONFIG_NAME).read_text(encoding="utf-8"))
    ancestors = _read_ancestors(manifest, data)
    source = _source_params(ancestors.get("source"), dataset, model=model, data=data)
    splits = ancestors["shards"].content["splits"] if "shards" in ancestors else {}
    return CardFacts(
        manifest=manifest,
        geometry=json.loads((model / names.GEOMETRY_NAME).read_text(encoding="utf-8")),
        num_parameters=num_parameters,
        num_vocabulary=int(config["decoder"]["vocab_size"]),
        datasets=dataset_names(source),
        origins=origins(source),
        base_licence=_read_licence(Path(str(manifest.params["model"]["base"])).expanduser() / names.CARD_NAME),
        num_samples={split: int(facts["num_samples"]) for split, facts in splits.items()},
        num_bytes=(model / names.WEIGHTS_NAME).stat().st_size,
        evaluation=_read_evaluation(manifest, data=data, metrics=metrics) if with_figures else None,
        history=_read_history(model / names.HISTORY_NAME),
    )


def check_model(folder: Path) -> tuple[Manifest, int]:
    """Return the manifest and the number of parameters of a model folder.

    Raises LatexifyError if files are missing or the weights are damaged.
    """
    manifest = read_manifest(folder, MODEL)
    missing = [name for name in REQUIRED_FILES if not (folder / name).is_file()]
    if missing:
        raise LatexifyError(f"{folder} is incomplete ({', '.join(missing)} missing): run `{MODEL.producer}` again")
    try:
        with safe_open(folder / names.WEIGHTS_NAME, framework="numpy") as weights:
            keys = [key for key in weights.keys() if not key.endswith(BUFFERS)]  # noqa: SIM118  # not a mapping
            shapes = [weights.get_slice(key).get_shape() for key in keys]
    except SafetensorError as error:
        path = folder / names.WEIGHTS_NAME
        raise LatexifyError(f"{path} is damaged ({error}): run `{MODEL.producer}` again") from None
    return manifest, sum(math.prod(shape) for shape in shapes)


def _read_ancestors(manifest: Manifest, data: Path) -> dict[str, Manifest]:
    """Manifests of the artifacts in `data` that the model was made from, by kind, as their fingerprints show."""
    ancestors: dict[str, Manifest] = {}
    remaining = dict(manifest.inputs)
    while remaining:
        kind, fingerprint = remaining.popitem()
        folder = data / kind
        if kind in ancestors or kind not in ARTIFACTS or not (folder / names.MANIFEST_NAME).is_file():
            continue
        candidate = read_manifest(folder, ARTIFACTS[kind])
        if candidate.fingerprint == fingerprint:
            ancestors[kind] = candidate
            remaining |= {name: value for name, value in candidate.inputs.items() if name not in ancestors}
    return ancestors


def _source_params(manifest: Manifest | None, dataset: str | None, *, model: Path, data: Path) -> Mapping[str, Any]:
    """Parameters of the source stage, or `dataset` if its manifest is not available."""
    if manifest is not None:
        return manifest.params
    if dataset is None:
        raise LatexifyError(f"the data of {model} is not in {data}: name it with --dataset ({', '.join(ORIGINS)})")
    if dataset not in ORIGINS:
        raise LatexifyError(f"--dataset {dataset} is unknown: choose from {', '.join(ORIGINS)}")
    return {"dataset": dataset}


def _read_licence(card: Path) -> str | None:
    """The licence in a card's front matter, if there is one."""
    if not card.is_file():
        return None
    before, *rest = card.read_text(encoding="utf-8").split("---\n", 2)
    if before or len(rest) < 2:
        return None
    try:
        front_matter = YAML(typ="safe", pure=True).load(rest[0])
    except YAMLError as error:
        reason = one_line(error)
        raise LatexifyError(f"{card} has invalid front matter ({reason}): correct it, or delete the file") from None
    licence = front_matter.get("license") if isinstance(front_matter, dict) else None
    return None if licence is None else str(licence)


def _read_history(path: Path) -> TrainingHistory | None:
    if not path.is_file():
        return None
    try:
        rows = _read_csv(path)
        return TrainingHistory(
            num_steps=int(rows[-1]["step"]),
            seconds=float(rows[-1]["seconds"]),
            best_cer=min(float(row["valid_cer"]) for row in rows if row["valid_cer"]),
        )
    except (ValueError, KeyError, IndexError) as error:
        raise LatexifyError(f"{path} is not a training history ({error!r}): run `{MODEL.producer}` again") from None


def _read_evaluation(model: Manifest, *, data: Path, metrics: Path) -> Evaluation:
    remedy = "run `latexify predict` and `latexify score`, or publish without figures (--no-figures)"
    path = metrics / names.SCORE_NAME
    if not path.is_file():
        raise LatexifyError(f"{path} is missing: {remedy}")
    try:
        score: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise LatexifyError(f"{path} is not JSON ({error}): run `latexify score` again") from None
    predictions = read_manifest(data / "predictions", PREDICTIONS)
    if predictions.inputs.get("model") != model.fingerprint or score.get("predictions") != predictions.fingerprint:
        raise LatexifyError(f"{path} has the score of another model: {remedy}")
    plots = data / "plots"
    confusions = _read_table(plots / "confusions.csv", columns={"kind", "reference", "prediction", "count"})
    mistakes = [row for row in confusions if not BRACES & {row["reference"], row["prediction"]}]
    return Evaluation(
        score=score,
        seconds=predictions.content["seconds"] / max(predictions.content["num_samples"], 1),
        lengths=_read_groups(plots / "error_by_length.csv", column="symbols"),
        structures=_read_groups(plots / "error_by_structure.csv", column="structure"),
        mistakes=mistakes[:MAX_MISTAKES],
    )


def _read_groups(path: Path, *, column: str) -> list[GroupScores]:
    return [
        GroupScores(
            name=row[column],
            num_samples=int(row["num_samples"]),
            cer=float(row["cer"]),
            exact_match=float(row["exact_match"]),
        )
        for row in _read_table(path, columns={column, "num_samples", "cer", "exact_match"})
    ]


def _read_table(path: Path, *, columns: set[str]) -> list[dict[str, str]]:
    """The rows of a table of `latexify score`."""
    try:
        rows = _read_csv(path)
    except OSError as error:
        raise LatexifyError(f"{path} cannot be read ({error.strerror}): run `latexify score` again") from None
    if rows and not columns <= rows[0].keys():
        raise LatexifyError(f"{path} lacks {', '.join(sorted(columns - rows[0].keys()))}: run `latexify score` again")
    return rows


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
