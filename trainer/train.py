"""The train stage: shards and a tokenizer in, a model folder out; the same command again goes on where it stopped."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import write_manifest
from latexify.common.errors import LatexifyError
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.data.inputs import load_network, open_inputs, run_manifest
from latexify.trainer.dry_run import describe, rehearse, require_unfinished
from latexify.trainer.loop.begun import agree, settle
from latexify.trainer.loop.loop import RunInputs, Trainer
from latexify.trainer.loop.memory import naming_full_memory, resolve_micro_batch
from latexify.trainer.loop.precision import choose_precision, fit_to_device
from latexify.trainer.loop.ranks import Ranks, join_ranks
from latexify.trainer.model.export import export_model


def run(  # noqa: PLR0913  # the stage's contract
    params: TrainParams,
    model: ModelParams,
    *,
    seed: int,
    shards: Location,
    tokenizer: Path,
    out: Path,
    runs: Path,
    metrics: Path,
    device: str | None,
    board: bool = False,
) -> dict[str, Any]:
    """Train, or go on training, and export the best model to `out`. Started by torchrun, all its ranks train together.

    Checkpoints go to a folder of `runs` named by what shapes the result, so a changed parameter starts a new run and
    the same command resumes; a finished run is only exported again. board: write for TensorBoard as well. Returns what
    it writes to `metrics`.

    Raises LatexifyError for inputs that do not belong together, a base that cannot be had, a loss that is not finite,
    and, after writing a checkpoint, for SIGTERM and SIGINT.
    """
    with join_ranks(device) as (ranks, chosen):
        trainer = _prepare(
            params,
            model,
            seed=seed,
            shards=shards,
            tokenizer=tokenizer,
            runs=runs,
            ranks=ranks,
            device=chosen,
            board=board,
        )
        _claim_folder(trainer)
        trainer.resume()
        trainer.train()
        summary = _summarise(trainer)
        if ranks.is_main:
            trainer.load_best()
            export_model(
                trainer.trained,
                out,
                manifest=trainer.inputs.manifest,
                rows=trainer.state.rows,
                dtype=getattr(torch, params.export_dtype),
            )
            write_json(metrics, summary)
        ranks.gather(None)  # nobody leaves before the model is written
    return summary


def dry_run(  # noqa: PLR0913  # as `run`, less where it writes
    params: TrainParams,
    model: ModelParams,
    *,
    seed: int,
    shards: Location,
    tokenizer: Path,
    runs: Path,
    device: str | None,
    num_steps: int = 5,
) -> str:
    """Say what :func:`run` would do, how long it would take and how much memory, from `num_steps` measured steps.

    Writes nothing. Raises LatexifyError where :func:`run` would, and where the run is finished.
    """
    with join_ranks(device) as (ranks, chosen):
        trainer = _prepare(
            params, model, seed=seed, shards=shards, tokenizer=tokenizer, runs=runs, ranks=ranks, device=chosen
        )
        trainer.resume()
        require_unfinished(trainer)
        with naming_full_memory(trainer.inputs.params, device=chosen):
            measured = rehearse(trainer, num_steps=num_steps)
        return describe(trainer, measured)


def _prepare(  # noqa: PLR0913  # what `run` was given
    params: TrainParams,
    model: ModelParams,
    *,
    seed: int,
    shards: Location,
    tokenizer: Path,
    runs: Path,
    ranks: Ranks,
    device: torch.device,
    board: bool = False,
) -> Trainer:
    """Check and load everything. Raises LatexifyError, on every rank, where one of them cannot."""
    if params.num_threads:
        torch.set_num_threads(params.num_threads)
    error = None
    try:
        inputs = open_inputs(shards, tokenizer)
        network = load_network(params, model, seed=seed, inputs=inputs)
    except LatexifyError as problem:
        error = problem
    error = ranks.first_error(error)
    if error is not None:
        raise error
    manifest_of = partial(run_manifest, model=model, seed=seed, inputs=inputs, network=network)
    precision = agree(choose_precision(params.precision, device=device), ranks=ranks)
    wanted = manifest_of(params, precision=precision)
    params, precision = settle(params, precision, wanted=wanted, runs=runs, ranks=ranks)
    fit_to_device(network.model, precision=precision, canvas_px=network.height_px * network.width_px)
    params = resolve_micro_batch(params, network, index=inputs.train_index, precision=precision, ranks=ranks)
    manifest = manifest_of(params, precision=precision)
    return Trainer(
        RunInputs(
            params=params,
            loaded=replace(network, fingerprint=manifest.fingerprint),
            train_index=inputs.train_index,
            valid_index=inputs.valid_index,
            precision=precision,
            seed=seed,
            manifest=manifest,
            folder=runs / manifest.fingerprint,
            ranks=ranks,
            board=board,
        )
    )


def _claim_folder(trainer: Trainer) -> None:
    """Write down what this run is, for whoever wonders. Raises LatexifyError, on every rank, where that cannot be."""
    inputs, error = trainer.inputs, None
    if inputs.ranks.is_main:
        try:
            write_manifest(inputs.folder, inputs.manifest)
        except OSError as problem:
            error = LatexifyError(
                f"{inputs.folder} cannot be written ({problem.strerror}): checkpoints go there; mend its permissions, "
                "make room, or choose another --root"
            )
    error = inputs.ranks.first_error(error)
    if error is not None:
        raise error


def _summarise(trainer: Trainer) -> dict[str, Any]:
    """The numbers of ``metrics/train.json``."""
    state, best = trainer.state, trainer.state.best
    assert best is not None, "the last step is always validated"
    return {
        "steps": state.step,
        "best_step": best.step,
        "valid_cer": best.valid_cer,
        "valid_loss": best.valid_loss,
        "samples_seen": state.samples_seen,
        "damaged_samples": len(state.damaged),
        "padding_waste": trainer.padding_waste,
        "parameters": trainer.trained.model.num_parameters(),
    }
