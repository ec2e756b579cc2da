"""The train stage: shards and a tokenizer in, a model folder out. The same command again continues where it stopped."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from latexify.artifacts.draft import sole_writer
from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import write_manifest
from latexify.common.errors import LatexifyError
from latexify.trainer.config import ModelParams, TrainParams
from latexify.trainer.data.inputs import load_network, open_inputs, run_manifest
from latexify.trainer.loop.history import write_curve
from latexify.trainer.loop.loop import RunInputs, Trainer
from latexify.trainer.loop.memory import resolve_micro_batch
from latexify.trainer.loop.precision import choose_precision, fit_to_device
from latexify.trainer.loop.ranks import join_ranks
from latexify.trainer.loop.resume import common_precision, keep_auto_choices
from latexify.trainer.model.export import export_model


@contextmanager
def open_trainer(  # noqa: PLR0913  # the stage's contract; all but the first two are named
    params: TrainParams,
    model: ModelParams,
    *,
    seed: int,
    shards: Location,
    tokenizer: Path,
    runs: Path,
    device: str | None,
    weights: Mapping[str, float] | None = None,
) -> Iterator[Trainer]:
    """Check and load everything for one training. Under torchrun, all ranks train together.

    Args:
        params: Section `train`.
        model: Section `model`.
        seed: Seed of weights, order, dropout and augmentation.
        shards: Folder of shards.
        tokenizer: Folder of the tokenizer.
        runs: Folder of all runs. Checkpoints go to a folder in it named by the fingerprint of everything that shapes
            the result. So a changed parameter starts a new run, and the same command resumes.
        device: torch's name of the device; None for the best available.
        weights: Weight of each dataset, if there are several.

    Raises:
        LatexifyError: On every rank, if inputs do not belong together or the base cannot be loaded.
    """
    with join_ranks(device) as (ranks, chosen):
        if params.num_threads:
            torch.set_num_threads(params.num_threads)
        with ranks.share_errors():
            inputs = open_inputs(shards, tokenizer, weights=weights)
            network = load_network(params, model, seed=seed, inputs=inputs)
        make_manifest = partial(run_manifest, model=model, seed=seed, inputs=inputs, network=network)
        precision = common_precision(choose_precision(params.precision, device=chosen), ranks=ranks)
        planned = make_manifest(params, precision=precision)
        params, precision = keep_auto_choices(params, precision, planned=planned, runs=runs, ranks=ranks)
        fit_to_device(network.model, precision=precision)
        params = resolve_micro_batch(params, network, index=inputs.train_index, precision=precision, ranks=ranks)
        manifest = make_manifest(params, precision=precision)
        run_inputs = RunInputs(
            params=params,
            loaded=replace(network, fingerprint=manifest.fingerprint),
            train_index=inputs.train_index,
            mixture=inputs.mixture,
            valid_index=inputs.valid_index,
            precision=precision,
            seed=seed,
            manifest=manifest,
            folder=runs / manifest.fingerprint,
            ranks=ranks,
        )
        yield Trainer(run_inputs)


def run(trainer: Trainer, *, out: Path, metrics: Path, curve: Path | None = None) -> dict[str, Any]:
    """Train, or continue a training, and export the best model; a finished run is only exported again.

    Write the model folder `out` and the JSON file `metrics`, and return the content of the latter. The file `curve` is
    kept equal to the history (CSV) while the run trains. Raises LatexifyError
    if another process trains the same run, or the loss is not finite; and, after writing a checkpoint, for SIGTERM and
    SIGINT.
    """
    with _sole_trainer(trainer):
        return _run(trainer, out=out, metrics=metrics, curve=curve)


@contextmanager
def _sole_trainer(trainer: Trainer) -> Iterator[None]:
    """Hold the lock of the run's folder: two processes would delete each other's checkpoints. Raises on every rank."""
    inputs = trainer.inputs
    with ExitStack() as stack:
        with inputs.ranks.share_errors():
            if inputs.ranks.is_main:
                with _folder_errors(inputs.folder):
                    inputs.folder.parent.mkdir(parents=True, exist_ok=True)
                    stack.enter_context(sole_writer(inputs.folder))
        yield


def _run(trainer: Trainer, *, out: Path, metrics: Path, curve: Path | None) -> dict[str, Any]:
    inputs = trainer.inputs
    _write_run_manifest(trainer)
    trainer.resume()
    trainer.train(curve=curve)
    trainer.finish()
    summary = _summarise(trainer)
    if inputs.ranks.is_main:
        trainer.load_best()
        dtype = getattr(torch, inputs.params.export_dtype)
        export_model(trainer.trained, out, manifest=inputs.manifest, rows=trainer.state.rows, dtype=dtype)
        write_json(metrics, summary)
        if curve is not None:
            write_curve(curve, trainer.state.rows)
    inputs.ranks.gather(None)  # every rank waits until the model is written
    return summary


def _write_run_manifest(trainer: Trainer) -> None:
    """Record what this run is made from. Raises LatexifyError, on every rank, if its folder cannot be written."""
    inputs = trainer.inputs
    with inputs.ranks.share_errors(), _folder_errors(inputs.folder):
        if inputs.ranks.is_main:
            write_manifest(inputs.folder, inputs.manifest)


@contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    """Turn errors of the disk into a LatexifyError about the folder of a run."""
    try:
        yield
    except OSError as error:
        raise LatexifyError(
            f"{folder} cannot be written ({error.strerror}): checkpoints go there; fix its permissions, free some "
            "space, or choose another --root"
        ) from None


def _summarise(trainer: Trainer) -> dict[str, Any]:
    """Return the numbers of ``metrics/train.json``."""
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
