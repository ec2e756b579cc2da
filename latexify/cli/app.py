"""The command line: one command per stage, wiring only."""

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from latexify.artifacts.location import store_errors
from latexify.cli import compose as compose_commands
from latexify.cli import demo as demo_commands
from latexify.cli import export as export_commands
from latexify.cli import inspect as inspect_commands
from latexify.cli import publish as publish_commands
from latexify.cli import recipe as recipe_commands
from latexify.cli import recognize as recognize_commands
from latexify.cli import sagemaker as sagemaker_commands
from latexify.cli import score as score_commands
from latexify.cli import serve as serve_commands
from latexify.cli.options import Address, Backend, Device, Jobs, Workspace, engine_for, seen_from_anywhere
from latexify.common.errors import LatexifyError

app = typer.Typer(
    name="latexify",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Handwritten mathematics to LaTeX: InkML in, a trained and scored recogniser out.\n\n"
    "Each command is one stage of the pipeline; `dvc repro` runs those whose inputs changed, in order. What a stage "
    "does is set in params.yaml; switches here cannot change a result.",
)

DISK_TROUBLE = {
    errno.ENOSPC: "the disk is full: make room and run the same command again",
    errno.EDQUOT: "the disk quota is used up: make room and run the same command again",
    errno.EACCES: "a file or folder may not be written or read: change its permissions, or choose another --root",
    errno.EROFS: "the file system is read-only: choose another --root",
}


@app.callback()
def main_options(
    context: typer.Context,
    params: Annotated[Path, typer.Option(help="Parameter file.")] = Path("params.yaml"),
    root: Annotated[Path, typer.Option(help="Folder that holds data/, runs/ and metrics/.")] = Path(),
    inks: Annotated[
        str | None, typer.Option(help="Where the inks are, a folder or URL such as s3://bucket/inks; ROOT/data/inks.")
    ] = None,
    shards: Annotated[
        str | None, typer.Option(help="Where the shards are, a folder or a URL; ROOT/data/shards.")
    ] = None,
) -> None:
    """Handwritten mathematics to LaTeX."""
    context.obj = Workspace(params, root, inks, shards)


@app.command("params")
def show_params(context: typer.Context) -> None:
    """Check params.yaml and print every parameter with the value it has, defaults included."""
    workspace: Workspace = context.obj
    print(workspace.params.model_dump_json(indent=2))


@app.command()
def source(context: typer.Context, jobs: Jobs = 0) -> None:
    """Get the InkML: generate it (synthetic), download it (mathwriting) or list it (crohme, inkml)."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.pipeline.engine.engine import usable_cpus
    from latexify.pipeline.source import stage

    section = getattr(params, "mathwriting" if params.dataset == "mathwriting-excerpt" else params.dataset)
    out = workspace.data("source")
    stage.run(
        section,
        dataset=params.dataset,
        seed=params.seed,
        raw=workspace.raw,
        out=out,
        jobs=jobs or usable_cpus(),
        composed=params.composed,
    )


@app.command()
def ingest(context: typer.Context, jobs: Jobs = 0, backend: Backend = "loky", address: Address = None) -> None:
    """Parse every InkML file once; each ends as a row of data/inks or as a rejection with its reason."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.pipeline.ingest import stage

    out = seen_from_anywhere(workspace.inks)
    with engine_for(out, backend=backend, jobs=jobs, address=address) as engine:
        stage.run(
            params.ingest,
            source=workspace.data("source"),
            out=out,
            metrics=workspace.metrics("ingest"),
            engine=engine,
        )


@app.command()
def vocab(context: typer.Context) -> None:
    """Make the tokenizer from the training labels, or take the base model's, and check what it loses."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.pipeline.vocab import stage

    stage.run(
        params.vocab,
        base=params.model.base,
        inks=workspace.inks,
        out=workspace.data("tokenizer"),
        metrics=workspace.metrics("vocab"),
    )


@app.command()
def rasterize(context: typer.Context, jobs: Jobs = 0, backend: Backend = "loky", address: Address = None) -> None:
    """Draw every ink at the model's canvas and write pictures and token ids into WebDataset shards."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.pipeline.rasterize import stage

    out = seen_from_anywhere(workspace.shards)
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


@app.command()
def train(
    context: typer.Context,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure a few steps and say what the training would take; write nothing.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write the curve for TensorBoard as well.")
    ] = False,
) -> None:
    """Train from the shards and calibrate; a stopped run goes on where it was. Several ranks: start it by torchrun."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.trainer import train as stage

    inputs = {
        "seed": params.seed,
        "shards": workspace.shards,
        "tokenizer": workspace.data("tokenizer"),
        "runs": workspace.root / "runs",
        "device": device,
    }
    if dry_run:
        print(stage.dry_run(params.train, params.model, **inputs))
        return
    out, metrics = workspace.data("model"), workspace.metrics("train")
    stage.run(params.train, params.model, **inputs, out=out, metrics=metrics, board=tensorboard)
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun starts, the one that wrote the model
        from latexify.eval.predict import calibrate as last_step

        last_step.run(out, shards=workspace.shards, seed=params.seed, device=device)


@app.command()
def predict(context: typer.Context, device: Device = None) -> None:
    """Read the evaluation inks with the trained model."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.eval.predict import stage

    stage.run(
        params.predict,
        model=workspace.data("model"),
        shards=workspace.shards,
        out=workspace.data("predictions"),
        device=device,
    )


app.command()(score_commands.score)


@app.command()
def report(context: typer.Context) -> None:
    """Write one HTML file with the figures, the curves, what was dropped, and samples to look at."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.eval.report import stage

    path = stage.run(
        params.report,
        seed=params.seed,
        predictions=workspace.data("predictions"),
        shards=workspace.shards,
        model=workspace.data("model"),
        plots=workspace.data("plots"),
        metrics_folder=workspace.root / "metrics",
        params_path=workspace.params_path,
        parameters=params.model_dump(mode="json"),
        out=workspace.data("report"),
    )
    print(path)


app.command()(compose_commands.compose)
app.command()(demo_commands.demo)
app.command()(export_commands.export_onnx)
app.command()(score_commands.calibrate)
app.command()(inspect_commands.verify)
app.command()(inspect_commands.inspect)
app.command()(publish_commands.publish)
app.command()(recipe_commands.recipe)
app.command()(recognize_commands.recognize)
app.command()(sagemaker_commands.sagemaker_train)
app.command()(serve_commands.serve)


def main() -> None:
    """Run the command line; what a user can mend is one message and exit code 1, not a traceback."""
    try:
        app()
    except LatexifyError as error:
        print(f"latexify: {error}", file=sys.stderr)
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"latexify: {DISK_TROUBLE[error.errno]}{where}; nothing half-written is left", file=sys.stderr)
    except store_errors() as error:
        print(
            f"latexify: the object store does not answer as it should ({' '.join(str(error).split())}): check its "
            "settings in the environment (docs/guide/scale.md), then run the same command again",
            file=sys.stderr,
        )
    else:
        return
    sys.exit(1)
