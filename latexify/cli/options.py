"""Options and folders that several commands share."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from latexify.artifacts.location import Location, is_local, location_of
from latexify.common.errors import LatexifyError
from latexify.common.extras import Extra, missing_extra
from latexify.common.package_data import default_model, is_model, is_plain_trocr, list_models, resolve_base
from latexify.eval.config import MAX_DRAWINGS, TRAINED_HERE
from latexify.params import Params, load_params

if TYPE_CHECKING:
    from latexify.pipeline.engine.engine import Engine

Jobs = Annotated[
    int,
    typer.Option(
        min=0, help="Number of tasks at a time; 0: one per CPU, or all workers of the cluster. Does not change results."
    ),
]
Backend = Annotated[
    Literal["loky", "threading", "dask", "ray"],
    typer.Option(help="Local processes (loky), local threads, or a cluster. Does not change results."),
]
Address = Annotated[
    str | None, typer.Option(help="Cluster address: tcp://HOST:8786 for Dask, HOST:6379 or ray://HOST:10001 for Ray.")
]
Device = Annotated[
    str | None,
    typer.Option(help="Device such as cpu, cuda or cuda:1. Default: the fastest available.", show_default=False),
]
Constrained = Annotated[
    bool | None,
    typer.Option(
        "--constrained/--no-constrained",
        help="Restrict answers to well-formed LaTeX. Default: on if the model's tokens are LaTeX tokens.",
        show_default=False,
    ),
]
Only = Annotated[
    str | None,
    typer.Option(
        help="Symbols that may be written, divided by spaces: digits, letters, or LaTeX, such as 'digits +-= \\frac'. "
        "Default: all.",
        show_default=False,
    ),
]
RuntimeOption = Annotated[
    Literal["torch", "onnx"] | None,
    typer.Option(
        help="Compute with torch, or with onnxruntime on the graphs of `export-onnx`. Default: whichever gives the "
        "first answer sooner, which is onnxruntime on a CPU.",
        show_default=False,
    ),
]
Drawings = Annotated[
    int,
    typer.Option(
        min=1,
        max=MAX_DRAWINGS,
        help="Drawings of each picture, slanted, stretched or turned a little, whose answers vote: more accurate, and "
        "as many times slower.",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads; more than 1 only helps large models.")]
Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all interfaces.")]
ModelFolder = Annotated[
    Path | None,
    typer.Option(
        help="Model folder. Default: data/model, the one trained here, else the installed model.", show_default=False
    ),
]


UsedModel = Annotated[
    Path | None,
    typer.Option(
        help="Model folder, or a TrOCR on the hub. Default: data/model, trained here, else the installed model.",
        show_default=False,
    ),
]


@dataclass
class Workspace:
    """The parameter file of a command and the folders of its project."""

    params_path: Path
    root: Path
    inks_location: str | None
    shards_location: str | None

    @cached_property
    def params(self) -> Params:
        """The validated parameters; read on first use, so that `--help` needs no file."""
        return load_params(self.params_path)

    @property
    def params_or_defaults(self) -> Params:
        """The parameters, or the defaults where there is no parameter file."""
        return self.params if self.params_path.exists() else Params()

    @property
    def raw(self) -> Location:
        """Folder of the datasets that are not generated."""
        raw = self.params.raw
        return location_of(raw) if "://" in raw else self.params_path.parent / raw

    @property
    def inks(self) -> Location:
        """Folder of the inks."""
        return location_of(self.inks_location) if self.inks_location else self.data("inks")

    @property
    def shards(self) -> Location:
        """Folder of the shards."""
        return location_of(self.shards_location) if self.shards_location else self.data("shards")

    @property
    def predict_model(self) -> Path:
        """Folder of the model that `predict.model` names. Raises LatexifyError if another one is missing."""
        named = self.params.predict.model
        if not self.is_model_named:
            return self.data("model")
        folder = Path(resolve_base(named, parameter="predict.model"))
        if not is_model(folder):
            raise LatexifyError(
                f"predict.model: {folder} holds no model: correct it, or set it to {TRAINED_HERE}, the one trained here"
            )
        return folder

    @property
    def is_model_named(self) -> bool:
        """Whether `predict.model` is another one than the model that the project trains."""
        return self.params.predict.model != TRAINED_HERE

    def data(self, name: str) -> Path:
        """Return the folder of one artifact."""
        return self.root / "data" / name

    def metrics(self, stage: str) -> Path:
        """Return the metrics file of one stage."""
        return self.root / "metrics" / f"{stage}.json"


def chosen_model(workspace: Workspace, named: Path | None) -> Path:
    """Return the model folder to use: the named one, else the one trained here, else the installed one.

    Where both of the latter exist and none was named, one line on stderr says which is used. Raises LatexifyError if
    the named one is no folder and cannot be a name on the hub, or there is none at all.
    """
    if named is not None:
        if named.exists() and not named.is_dir():
            raise LatexifyError(f"{named} is a file: --model takes the folder of a model")
        if not named.is_dir() and not is_plain_trocr(named):
            raise LatexifyError(f"there is no folder {named}: --model takes a model folder, or a TrOCR on the hub")
        return named
    folder = default_model(trained_here=workspace.data("model"))
    installed = [path for path in list_models() if path != folder]
    if folder == workspace.data("model") and installed:
        others = ", ".join(map(str, installed))
        print(f"latexify: using {folder}, which was trained here (installed: --model {others})", file=sys.stderr)
    return folder


@contextmanager
def extra_needed(extra: Extra) -> Iterator[None]:
    """Say which extra to install if an import in the block finds a package missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "latexify":
            raise
        raise missing_extra(extra, package=error.name) from None


@contextmanager
def engine_for(
    *locations: Location, backend: Literal["loky", "threading", "dask", "ray"], jobs: int, address: str | None
) -> Iterator["Engine"]:
    """Yield an engine after checking that all its workers can reach `locations`."""
    with extra_needed("rasterize"):
        from latexify.fast.pandas_import import block_pandas_import
        from latexify.pipeline.engine.engine import open_engine

    block_pandas_import()
    with open_engine(backend, jobs=jobs, address=address) as engine:
        for location in locations:
            engine.check_shared_path(location)
        yield engine


def absolute(location: Location) -> Location:
    """Return a location that does not depend on the current folder, because workers run in another one."""
    return location.absolute() if is_local(location) else location
