"""The command line: one command per stage, wiring only."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from params import Params, load_params
from shards.errors import LatexifyError
from shards.place import Place, is_local, place_of, store_errors

if TYPE_CHECKING:
    from pipeline.engine import Engine

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

Jobs = Annotated[
    int,
    typer.Option(
        min=0,
        help="Tasks at a time; 0 takes one for each CPU of this machine, or all workers of the cluster. Results do not "
        "depend on it.",
    ),
]
Backend = Annotated[
    Literal["loky", "threading", "dask", "ray"],
    typer.Option(help="Processes (loky) or threads of this machine, or a cluster. Results do not depend on it."),
]
Address = Annotated[
    str | None,
    typer.Option(help="Of the cluster: dask tcp://HOST:8786, ray HOST:6379 or ray://HOST:10001."),
]
Device = Annotated[
    str | None, typer.Option(help="torch device such as cpu, cuda or cuda:1; the best one if not given.")
]


@dataclass
class Workspace:
    """Where a command reads its parameters and keeps its files."""

    params_path: Path
    root: Path
    inks_location: str | None
    shards_location: str | None

    @cached_property
    def params(self) -> Params:
        """The validated parameters; read on first use, so that `--help` needs no file."""
        return load_params(self.params_path)

    @property
    def raw(self) -> Place:
        """Folder of the datasets that are not generated."""
        raw = self.params.raw
        return place_of(raw) if "://" in raw else self.params_path.parent / raw

    @property
    def inks(self) -> Place:
        """Folder of the inks."""
        return place_of(self.inks_location) if self.inks_location else self.data("inks")

    @property
    def shards(self) -> Place:
        """Folder of the shards."""
        return place_of(self.shards_location) if self.shards_location else self.data("shards")

    def data(self, name: str) -> Path:
        """Folder of one artifact."""
        return self.root / "data" / name

    def metrics(self, stage: str) -> Path:
        """Metrics file of one stage."""
        return self.root / "metrics" / f"{stage}.json"


@contextmanager
def engine_for(
    *places: Place, backend: Literal["loky", "threading", "dask", "ray"], jobs: int, address: str | None
) -> Iterator["Engine"]:
    """Yield the engine, once all its workers are known to see `places`."""
    from pipeline.engine import open_engine

    with open_engine(backend, jobs=jobs, address=address) as engine:
        for place in places:
            engine.require_sees(place)
        yield engine


def seen_from_anywhere(place: Place) -> Place:
    """A place whose name does not depend on the current folder, which is another one for a worker."""
    return place.absolute() if is_local(place) else place


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
    from pipeline import source as stage
    from pipeline.engine import usable_cpus

    section = getattr(params, "mathwriting" if params.dataset == "mathwriting-excerpt" else params.dataset)
    out = workspace.data("source")
    stage.run(section, dataset=params.dataset, seed=params.seed, raw=workspace.raw, out=out, jobs=jobs or usable_cpus())


@app.command()
def ingest(context: typer.Context, jobs: Jobs = 0, backend: Backend = "loky", address: Address = None) -> None:
    """Parse every InkML file once; each ends as a row of data/inks or as a rejection with its reason."""
    workspace: Workspace = context.obj
    params = workspace.params
    from pipeline import ingest as stage

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
    from pipeline import vocab as stage

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
    from pipeline import rasterize as stage

    out = seen_from_anywhere(workspace.shards)
    with engine_for(out, backend=backend, jobs=jobs, address=address) as engine:
        stage.run(
            params.rasterize,
            inks=workspace.inks,
            tokenizer=workspace.data("tokenizer"),
            out=out,
            metrics=workspace.metrics("rasterize"),
            engine=engine,
        )


@app.command()
def train(context: typer.Context, device: Device = None) -> None:
    """Train from the shards; a run that was stopped goes on where it was."""
    workspace: Workspace = context.obj
    params = workspace.params
    from trainer import train as stage

    stage.run(
        params.train,
        params.model,
        seed=params.seed,
        shards=workspace.shards,
        tokenizer=workspace.data("tokenizer"),
        out=workspace.data("model"),
        runs=workspace.root / "runs",
        metrics=workspace.metrics("train"),
        device=device,
    )


@app.command()
def predict(context: typer.Context, device: Device = None) -> None:
    """Read the evaluation inks with the trained model."""
    workspace: Workspace = context.obj
    params = workspace.params
    from eval import predict as stage

    stage.run(
        params.predict,
        model=workspace.data("model"),
        shards=workspace.shards,
        out=workspace.data("predictions"),
        device=device,
    )


@app.command()
def score(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="A Parquet, CSV or JSON-lines file to score instead of data/predictions."),
    ] = None,
    reference_column: Annotated[str, typer.Option(help="Column of the true labels (with FILE).")] = "reference",
    prediction_column: Annotated[str, typer.Option(help="Column of the predictions (with FILE).")] = "prediction",
    normalize: Annotated[bool, typer.Option(help="Normalise both columns first (with FILE).")] = True,
) -> None:
    """Compare predictions with references: character CER, token CER, exact match, with 95 % intervals."""
    workspace: Workspace = context.obj
    # a file of answers can be scored anywhere, without a params.yaml
    params = Params() if file is not None and not workspace.params_path.exists() else workspace.params
    from eval import score as stage

    if file is not None:
        result = stage.run_file(
            params.score,
            file=file,
            seed=params.seed,
            reference_column=reference_column,
            prediction_column=prediction_column,
            normalize=normalize,
        )
    else:
        result = stage.run(
            params.score,
            seed=params.seed,
            predictions=workspace.data("predictions"),
            metrics=workspace.metrics("score"),
            plots=workspace.data("plots"),
        )
    print(stage.describe(result))


@app.command()
def report(context: typer.Context) -> None:
    """Write one HTML file with the figures, the curves, what was dropped, and samples to look at."""
    workspace: Workspace = context.obj
    params = workspace.params
    from eval import report as stage

    path = stage.run(
        params.report,
        seed=params.seed,
        predictions=workspace.data("predictions"),
        shards=workspace.shards,
        model=workspace.data("model"),
        metrics_folder=workspace.root / "metrics",
        parameters=params.model_dump(mode="json"),
        out=workspace.data("report"),
    )
    print(path)


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
            "settings in the environment (docs/scale.md), then run the same command again",
            file=sys.stderr,
        )
    else:
        return
    sys.exit(1)


if __name__ == "__main__":
    main()
