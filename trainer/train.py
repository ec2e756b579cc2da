"""The train stage: shards and a tokenizer in, a model folder out; the same command again goes on where it stopped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shards.errors import LatexifyError
from shards.files import write_json
from shards.index import KIND as SHARDS_KIND
from shards.index import MADE_BY as SHARDS_MADE_BY
from shards.index import SplitIndex, open_split
from shards.manifest import Manifest, read_manifest, require_input, write_manifest
from shards.place import Place
from trainer.base import base_version
from trainer.checkpoint import CHECKPOINT_VERSION
from trainer.config import ModelParams, TrainParams
from trainer.export import export_model
from trainer.loop import RunInputs, Trainer
from trainer.model import KIND, Geometry, LoadedModel, load_tokenizer, make_model, max_positions
from trainer.precision import Precision, choose_device, choose_precision

TOKENIZER_MADE_BY = "latexify vocab"

OPERATIONAL = {
    "checkpoint_steps",
    "checkpoint_minutes",
    "keep_checkpoints",
    "loader_workers",
    "max_damaged_rate",
    "num_threads",
}
"""Parameters that change how a run is carried out but not what comes out of it (the number of threads: not beyond
rounding): a run may be resumed with other values."""


@dataclass(frozen=True, kw_only=True)
class _Inputs:
    """The checked inputs of the stage."""

    shards: Manifest
    tokenizer: Manifest
    train_index: SplitIndex
    valid_index: SplitIndex


def run(  # noqa: PLR0913  # the stage's contract
    params: TrainParams,
    model: ModelParams,
    *,
    seed: int,
    shards: Place,
    tokenizer: Path,
    out: Path,
    runs: Path,
    metrics: Path,
    device: str | None,
) -> dict[str, Any]:
    """Train, or go on training, and export the best model to `out`.

    Checkpoints go to a folder of `runs` named by what shapes the result, so a changed parameter starts a new run and
    the same command resumes; a finished run is only exported again. Returns what it writes to `metrics`.

    Raises LatexifyError for inputs that do not belong together, a base that cannot be had, a loss that is not finite,
    and, after writing a checkpoint, for SIGTERM and SIGINT.
    """
    inputs = _check_inputs(shards, tokenizer)
    precision = choose_precision(params.precision, device=choose_device(device))
    manifest = _manifest(params, model, seed=seed, precision=precision, inputs=inputs)
    if params.num_threads:
        torch.set_num_threads(params.num_threads)
    trained = _make_loaded(params, model, seed=seed, tokenizer=tokenizer, manifest=manifest, inputs=inputs)
    # convolutions are a tenth faster with the channels innermost, on a CPU too
    trained.model.to(precision.device, memory_format=torch.channels_last)
    trainer = Trainer(
        RunInputs(
            params=params,
            loaded=trained,
            train_index=inputs.train_index,
            valid_index=inputs.valid_index,
            precision=precision,
            seed=seed,
            folder=runs / manifest.fingerprint,
        )
    )
    write_manifest(trainer.folder, manifest)  # for whoever wonders what this run was
    trainer.resume()
    trainer.train()
    best = trainer.load_best()
    state = trainer.state
    export_model(trained, out, manifest=manifest, rows=state.rows)
    summary = {
        "steps": state.step,
        "best_step": best.step,
        "valid_cer": best.valid_cer,
        "valid_loss": best.valid_loss,
        "samples_seen": state.samples_seen,
        "damaged_samples": len(state.damaged),
        "padding_waste": trainer.padding_waste,
        "parameters": trained.model.num_parameters(),
    }
    write_json(metrics, summary)
    return summary


def _check_inputs(shards: Place, tokenizer: Path) -> _Inputs:
    tokenizer_manifest = read_manifest(tokenizer, "tokenizer", made_by=TOKENIZER_MADE_BY)
    shards_manifest = read_manifest(shards, SHARDS_KIND, made_by=SHARDS_MADE_BY)
    require_input(shards_manifest, tokenizer_manifest, where=shards, made_by=SHARDS_MADE_BY)
    return _Inputs(
        shards=shards_manifest,
        tokenizer=tokenizer_manifest,
        train_index=open_split(shards, "train"),
        valid_index=open_split(shards, "valid"),
    )


def _manifest(params: TrainParams, model: ModelParams, *, seed: int, precision: Precision, inputs: _Inputs) -> Manifest:
    """The manifest of the model to be; its fingerprint names the run."""
    shaping = params.model_dump(mode="json", exclude=OPERATIONAL) | {"precision": precision.name}
    base = {"base": model.base, "base_version": base_version(model.base)}
    return Manifest(
        kind=KIND,
        version=CHECKPOINT_VERSION,
        params={
            "train": shaping,
            "model": base | ({"preset": model.preset} if model.base == "scratch" else {}),
            "seed": seed,
            "geometry": Geometry.from_params(inputs.shards.params).to_dict(),
        },
        inputs={manifest.kind: manifest.fingerprint for manifest in (inputs.shards, inputs.tokenizer)},
    )


def _make_loaded(  # noqa: PLR0913  # all are named
    params: TrainParams, model: ModelParams, *, seed: int, tokenizer: Path, manifest: Manifest, inputs: _Inputs
) -> LoadedModel:
    geometry = Geometry.from_params(inputs.shards.params)
    loaded_tokenizer = load_tokenizer(tokenizer, made_by=TOKENIZER_MADE_BY)
    network = make_model(
        model,
        tokenizer=loaded_tokenizer,
        height_px=geometry.height_px,
        width_px=geometry.width_px,
        dropout=params.dropout,
        seed=seed,
    )
    longest = int(inputs.train_index.num_tokens.max())
    if longest >= max_positions(network):
        raise LatexifyError(
            f"the longest training label has {longest} tokens, but the model has {max_positions(network)} positions: "
            f"set rasterize.max_tokens below that"
        )
    return LoadedModel(model=network, tokenizer=loaded_tokenizer, geometry=geometry, fingerprint=manifest.fingerprint)
