"""The inputs of a training, checked before any of them is used, and the manifest that follows from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest, require_input
from latexify.artifacts.names import MODEL, SHARDS, TOKENIZER
from latexify.common.errors import LatexifyError
from latexify.pipeline.grammar.allowances import read_grammar
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.reading.mixture import Mixture
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.loop.checkpoint import CHECKPOINT_VERSION
from latexify.trainer.loop.optim import learns_batch_statistics
from latexify.trainer.loop.precision import Precision
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.model import LoadedModel, load_tokenizer, make_model, max_positions
from latexify.trainer.model.pretrained import base_version
from latexify.trainer.model.sizes import take_smaller_pictures

OPERATIONAL = {"checkpoint_minutes", "checkpoint_steps", "keep_checkpoints", "resume_changes", "resume_from"} | {
    "callbacks",
    "compile",
    "gradient_checkpointing",
    "loader_workers",
    "log_to",
    "max_damaged_fraction",
    "num_threads",
}
"""Parameters that do not change the result of a run except for rounding: it may resume with other values. The same
holds for `micro_batch` if the model has no batch norms."""


@dataclass(frozen=True, kw_only=True)
class TrainInputs:
    """Manifests and indexes of inputs that belong together."""

    shards: Manifest
    tokenizer: Manifest
    tokenizer_folder: Path
    train_index: SplitIndex
    mixture: Mixture | None  # the weights of several datasets
    valid_index: SplitIndex


def open_inputs(shards: Location, tokenizer: Path, *, weights: Mapping[str, float] | None) -> TrainInputs:
    """Read manifests and indexes. `weights` are those of several datasets, None for one.

    Raises LatexifyError if one is missing, damaged, empty, or made from other inputs or datasets.
    """
    tokenizer_manifest = read_manifest(tokenizer, TOKENIZER)
    shards_manifest = read_manifest(shards, SHARDS)
    require_input(shards_manifest, tokenizer_manifest, where=shards)
    if not shards_manifest.content["splits"].get("train", {}).get("num_samples"):
        raise LatexifyError(
            f"{shards} has no training samples, so there is nothing to learn from: name inks to train on in "
            "params.yaml, or evaluate another model on these (predict.model, or `latexify evaluate`)"
        )
    train_index = open_split(shards, "train")
    return TrainInputs(
        shards=shards_manifest,
        tokenizer=tokenizer_manifest,
        tokenizer_folder=tokenizer,
        train_index=train_index,
        mixture=Mixture.of(train_index, weights),
        valid_index=open_split(shards, "valid"),
    )


def _weights(mixture: Mixture | None) -> dict[str, dict[str, float]]:
    """Return the weights of several datasets as the manifest has them; nothing for one."""
    return {} if mixture is None else {"datasets": {name: float(each) for name, each in mixture.weights.items()}}


def load_network(params: TrainParams, model: ModelParams, *, seed: int, inputs: TrainInputs) -> LoadedModel:
    """Make the untrained model, on the CPU. Raises LatexifyError if base, canvas and labels do not fit together."""
    geometry = Geometry.from_params(inputs.shards.params)
    tokenizer = load_tokenizer(inputs.tokenizer_folder, producer=TOKENIZER.producer)
    canvas = {"height_px": geometry.height_px, "width_px": geometry.width_px}
    network = make_model(model, tokenizer=tokenizer, **canvas, dropout=params.dropout, seed=seed)
    take_smaller_pictures(network, geometry)
    longest = int(inputs.train_index.num_tokens.max())
    if longest >= max_positions(network):
        raise LatexifyError(
            f"the longest training label has {longest} tokens, but the model has {max_positions(network)} positions: "
            "set rasterize.max_tokens below that"
        )
    allowances = read_grammar(inputs.tokenizer_folder)
    return LoadedModel(model=network, tokenizer=tokenizer, geometry=geometry, fingerprint="", allowances=allowances)


def run_manifest(  # noqa: PLR0913  # all that shapes a run; all but two are named
    params: TrainParams,
    model: ModelParams,
    *,
    seed: int,
    precision: Precision,
    inputs: TrainInputs,
    network: LoadedModel,
) -> Manifest:
    """Make the manifest of the model that a run will export; its fingerprint names the run."""
    origin = {} if params.resume_from is None else {"run": read_manifest(Path(params.resume_from), MODEL).fingerprint}
    operational = OPERATIONAL if learns_batch_statistics(network.model, params) else OPERATIONAL | {"micro_batch"}
    shaping = {name: value for name, value in params.identity().items() if name not in operational}
    shaping["precision"] = precision.name
    base = {"base": model.base, "base_version": base_version(model.base)}
    return Manifest(
        kind=MODEL.kind,
        version=CHECKPOINT_VERSION,
        params={
            "train": shaping,
            "model": base | ({"preset": model.preset} if model.base == "scratch" else {}),
            "seed": seed,
            "geometry": network.geometry.to_dict(),
            **_weights(inputs.mixture),
        },
        inputs={manifest.kind: manifest.fingerprint for manifest in (inputs.shards, inputs.tokenizer)} | origin,
    )
