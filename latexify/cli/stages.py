"""The commands of the pipeline: one per stage of dvc.yaml, and `params`."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from latexify.cli.options import Address, Backend, Device, Jobs, Workspace, absolute, engine_for, extra_needed

if TYPE_CHECKING:
    from latexify.eval.config import PredictParams


def params(context: typer.Context) -> None:
    """Check params.yaml and print all parameters, including defaults."""
    workspace: Workspace = context.obj
    print(workspace.params.model_dump_json(indent=2))


def inputs(context: typer.Context) -> None:
    """Note which raw data and which base model params.yaml names, so that DVC sees when they change."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.pipeline.inputs import stage

    stage.run(
        params,
        composed=params.composed,
        base=params.model.base,
        tokenizer=params.vocab.tokenizer,
        raw=workspace.raw,
        out=workspace.data("inputs"),
        cache=workspace.data(".hashes.json"),
    )


def source(context: typer.Context, jobs: Jobs = 0) -> None:
    """Get the InkML or pictures: generate (synthetic), download (mathwriting) or list them (crohme, inkml, images)."""
    workspace: Workspace = context.obj
    params = workspace.params
    with extra_needed("rasterize"):
        from latexify.pipeline.engine.engine import usable_cpus
        from latexify.pipeline.inputs.raw_files import fetch_tracked
        from latexify.pipeline.inputs.stage import raw_locations
        from latexify.pipeline.source import stage

    fetch_tracked(list(raw_locations(params, params.composed, raw=workspace.raw).values()))
    stage.run_datasets(
        params.sections,
        seed=params.seed,
        raw=workspace.raw,
        out=workspace.data("source"),
        jobs=jobs or usable_cpus(),
        composed=params.composed,
    )


def ingest(context: typer.Context, jobs: Jobs = 0, backend: Backend = "loky", address: Address = None) -> None:
    """Read the InkML or pictures into data/inks. Each input becomes a row or a rejection with a reason."""
    workspace: Workspace = context.obj
    params = workspace.params
    with extra_needed("rasterize"):
        from latexify.pipeline.ingest import stage

    out = absolute(workspace.inks)
    with engine_for(out, backend=backend, jobs=jobs, address=address) as engine:
        stage.run(
            params.ingest, source=workspace.data("source"), out=out, metrics=workspace.metrics("ingest"), engine=engine
        )


def vocab(context: typer.Context) -> None:
    """Make the tokenizer from the training labels, or copy the base model's, and check what it loses."""
    workspace: Workspace = context.obj
    params = workspace.params
    with extra_needed("rasterize"):
        from latexify.pipeline.vocab import stage

    stage.run(
        params.vocab,
        base=params.model.base,
        inks=workspace.inks,
        out=workspace.data("tokenizer"),
        metrics=workspace.metrics("vocab"),
    )


def rasterize(context: typer.Context, jobs: Jobs = 0, backend: Backend = "loky", address: Address = None) -> None:
    """Draw the inks and write pictures and token ids into WebDataset shards."""
    workspace: Workspace = context.obj
    params = workspace.params
    with extra_needed("rasterize"):
        from latexify.pipeline.rasterize import stage

    out = absolute(workspace.shards)
    with engine_for(out, backend=backend, jobs=jobs, address=address) as engine:
        stage.run(
            params.rasterize,
            seed=params.seed,
            inks=workspace.inks,
            tokenizer=workspace.data("tokenizer"),
            out=out,
            metrics=workspace.metrics("rasterize"),
            engine=engine,
        )


def train(
    context: typer.Context,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure a few steps and estimate time and memory; write nothing.")
    ] = False,
) -> None:
    """Train on the shards and calibrate the model; resumes a stopped run. Start several ranks with torchrun."""
    workspace: Workspace = context.obj
    params = workspace.params
    with extra_needed("train"):
        from latexify.trainer import dry_run as estimate
        from latexify.trainer import train as stage

    out = workspace.data("model")
    with stage.open_trainer(
        params.train,
        params.model,
        seed=params.seed,
        shards=workspace.shards,
        tokenizer=workspace.data("tokenizer"),
        runs=workspace.root / "runs",
        device=device,
        weights=params.weights,
    ) as trainer:
        if dry_run:
            print(estimate.dry_run(trainer))
            return
        if (note := _search_of_predict(params.predict)) and trainer.inputs.ranks.is_main:
            print(note, file=sys.stderr, flush=True)
        curve = workspace.data("history.csv")
        stage.run(trainer, out=out, metrics=workspace.metrics("train"), curve=curve)
    if os.environ.get("RANK", "0") == "0":  # torchrun starts several processes, and rank 0 wrote the model
        from latexify.eval.predict import calibrate

        max_samples = params.train.validate_samples  # a calibration must not take longer than a validation
        calibrate.run(out, shards=workspace.shards, seed=params.seed, device=device, max_samples=max_samples)


def _search_of_predict(params: "PredictParams") -> str:
    """Say how the search of `predict` differs from that of validations; empty if it does not."""
    beams = f"predict.num_beams is {params.num_beams}" if params.num_beams > 1 else ""
    free = "" if params.constrained else "predict.constrained is false"
    differences = " and ".join(filter(None, (beams, free)))
    return f"latexify: train validates by greedy search, constrained; {differences}" if differences else ""


def predict(context: typer.Context, device: Device = None) -> None:
    """Predict the LaTeX of the evaluation inks with the trained model, or with the one that predict.model names."""
    workspace: Workspace = context.obj
    params = workspace.params
    with extra_needed("evaluate"):
        from latexify.eval.predict import stage

    stage.run(
        params.predict,
        model=workspace.predict_model,
        shards=workspace.shards,
        out=workspace.data("predictions"),
        device=device,
        is_named=workspace.is_model_named,
    )


def report(context: typer.Context) -> None:
    """Write an HTML file with metrics, learning curves, rejections and samples."""
    workspace: Workspace = context.obj
    params = workspace.params
    with extra_needed("evaluate"):
        from latexify.eval.report import stage
        from latexify.pipeline.engine.engine import usable_cpus

    path = stage.run(
        params.report,
        seed=params.seed,
        predictions=workspace.data("predictions"),
        shards=workspace.shards,
        model=workspace.predict_model,
        plots=workspace.data("plots"),
        metrics_folder=workspace.root / "metrics",
        params_path=workspace.params_path,
        parameters=params.model_dump(mode="json"),
        out=workspace.data("report"),
        is_named=workspace.is_model_named,
        jobs=usable_cpus(),
    )
    print(path)
