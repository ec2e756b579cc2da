"""What a model card says of a model, gathered from its folder and from the artifacts that it was made from.

Every artifact is checked by its fingerprint: figures of another model, or data that this one never saw, do not get in.
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

from latexify.artifacts.manifest import Manifest, read_manifest
from latexify.artifacts.names import ARTIFACTS, CARD_NAME, GEOMETRY_NAME, MANIFEST_NAME, MODEL, WEIGHTS_NAME
from latexify.common.errors import LatexifyError
from latexify.serve.hub.judgement import Judgement, read_judgement
from latexify.serve.hub.licences import ORIGINS, Origin, origins

PERMISSIVE = "apache-2.0"
"""The licence of what the project generates: whatever comes with it decides."""
NEEDED = ("config.json", GEOMETRY_NAME, WEIGHTS_NAME, "preprocessor_config.json", "tokenizer_config.json")
"""Without one of these, `from_pretrained` or the recogniser fails on what was published."""
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
"""What batch norms keep beside their parameters."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """How a training went. num_steps: optimizer steps. seconds: of training alone. best_cer: of all validations."""

    num_steps: int
    seconds: float
    best_cer: float


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """All that a card is made of.

    geometry: the canvas, as in ``latexify.json``. num_vocabulary: rows of the decoder's embedding. dataset: its name in
    ``params.yaml``. base_licence: what the card of the base says, where it is a folder with one. num_samples: of each
    split, where the shards are at hand. num_bytes: of the stored weights. judgement: None where the card shall do
    without figures. curve: None where the folder has no history.
    """

    manifest: Manifest
    geometry: Mapping[str, float | None]
    num_parameters: int
    num_vocabulary: int
    dataset: str
    origins: list[Origin]
    base_licence: str | None
    num_samples: Mapping[str, int]
    num_bytes: int
    judgement: Judgement | None
    curve: Curve | None

    @property
    def base(self) -> str:
        """The model that training started from."""
        return str(self.manifest.params["model"]["base"])

    @property
    def licence(self) -> str | None:
        """The licence of data and base, the model's own unless the publisher says otherwise; None: only he knows."""
        own = self.origins[0].licence
        if self.base_licence in {None, own}:
            return own
        return self.base_licence if own == PERMISSIVE else None


def read_facts(
    model: Path, *, data: Path, metrics: Path, dataset: str | None = None, with_figures: bool = True
) -> CardFacts:
    """Gather what is known of the model in folder `model`.

    data: folder of the artifacts (``data/``), of which those count that the model was made from. metrics: folder of the
    stages' JSON files. dataset: a name of `latexify.serve.hub.licences.ORIGINS`, for where the data is no longer at hand.

    Raises LatexifyError where the folder is no whole model, where its data is unknown, or where figures are wanted and
    those in `metrics` are not this model's.
    """
    manifest, weights = check_model(model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    ancestors = _ancestors(manifest, data)
    source = _source(ancestors.get("source"), dataset, model=model, data=data)
    shards = ancestors.get("shards")
    splits = shards.content["splits"] if shards else {}
    return CardFacts(
        manifest=manifest,
        geometry=json.loads((model / GEOMETRY_NAME).read_text(encoding="utf-8")),
        num_parameters=weights,
        num_vocabulary=int(config["decoder"]["vocab_size"]),
        dataset=str(source["dataset"]),
        origins=origins(source),
        base_licence=_read_licence(Path(str(manifest.params["model"]["base"])).expanduser() / CARD_NAME),
        num_samples={split: int(facts["num_samples"]) for split, facts in splits.items()},
        num_bytes=(model / WEIGHTS_NAME).stat().st_size,
        judgement=read_judgement(manifest, data=data, metrics=metrics) if with_figures else None,
        curve=_read_curve(model / "history.csv"),
    )


def _read_licence(card: Path) -> str | None:
    """The licence in the front matter of a card; None where there is none."""
    if not card.is_file():
        return None
    before, *rest = card.read_text(encoding="utf-8").split("---\n", 2)
    if before or len(rest) < 2:
        return None
    try:
        front_matter = YAML(typ="safe", pure=True).load(rest[0])
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise LatexifyError(f"{card} is no model card ({reason}): mend its front matter, or delete it") from None
    licence = front_matter.get("license") if isinstance(front_matter, dict) else None
    return None if licence is None else str(licence)


def check_model(folder: Path) -> tuple[Manifest, int]:
    """The manifest of a whole model folder, and its number of parameters.

    Raises LatexifyError where files are missing or the weights are cut short.
    """
    manifest = read_manifest(folder, MODEL)
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise LatexifyError(
            f"{folder} holds no whole model ({', '.join(missing)} missing): run `{MODEL.producer}` again"
        )
    try:
        with safe_open(folder / WEIGHTS_NAME, framework="numpy") as weights:
            names = [name for name in weights.keys() if not name.endswith(BUFFERS)]  # noqa: SIM118  # it is no mapping
            shapes = [weights.get_slice(name).get_shape() for name in names]
    except SafetensorError as error:
        raise LatexifyError(f"{folder / WEIGHTS_NAME} is damaged ({error}): run `{MODEL.producer}` again") from None
    return manifest, sum(math.prod(shape) for shape in shapes)


def _ancestors(manifest: Manifest, data: Path) -> dict[str, Manifest]:
    """The artifacts in `data` that the model was made from, by kind: those whose fingerprints say so."""
    found: dict[str, Manifest] = {}
    waiting = dict(manifest.inputs)
    while waiting:
        kind, fingerprint = waiting.popitem()
        folder = data / kind
        if kind in found or kind not in ARTIFACTS or not (folder / MANIFEST_NAME).is_file():
            continue
        candidate = read_manifest(folder, ARTIFACTS[kind])
        if candidate.fingerprint == fingerprint:
            found[kind] = candidate
            waiting |= {k: v for k, v in candidate.inputs.items() if k not in found}
    return found


def _source(manifest: Manifest | None, dataset: str | None, *, model: Path, data: Path) -> Mapping[str, Any]:
    """Parameters of the source stage; `dataset` where its manifest is not at hand."""
    if manifest is not None:
        return manifest.params
    if dataset is None:
        raise LatexifyError(
            f"what {model} was trained on is not in {data}: name the dataset with --dataset ({', '.join(ORIGINS)})"
        )
    if dataset not in ORIGINS:
        raise LatexifyError(f"--dataset {dataset} is not known: choose of {', '.join(ORIGINS)}")
    return {"dataset": dataset}


def _read_curve(path: Path) -> Curve | None:
    if not path.is_file():
        return None
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return Curve(
            num_steps=int(rows[-1]["step"]),
            seconds=float(rows[-1]["seconds"]),
            best_cer=min(float(row["valid_cer"]) for row in rows if row["valid_cer"]),
        )
    except (ValueError, KeyError, IndexError) as error:
        raise LatexifyError(f"{path} is not a training's history ({error!r}): run `{MODEL.producer}` again") from None
