"""What the commands share: where a project keeps its files, and the switches that cannot change a result."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from latexify.artifacts.location import Location, is_local, location_of
from latexify.params import Params, load_params

if TYPE_CHECKING:
    from latexify.pipeline.engine.engine import Engine

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
Constrained = Annotated[
    bool | None,
    typer.Option(
        "--constrained/--free",
        help="Write well-formed LaTeX only, or whatever the model likes best; constrained where the model's tokens are "
        "LaTeX's, if not given.",
        show_default=False,
    ),
]

RuntimeName = Annotated[
    Literal["torch", "onnx"] | None,
    typer.Option(
        help="What computes: torch (weights) or onnxruntime (graphs of `export-onnx`). If not given, torch where it is "
        "installed and the model folder has weights."
    ),
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

    def data(self, name: str) -> Path:
        """Folder of one artifact."""
        return self.root / "data" / name

    def metrics(self, stage: str) -> Path:
        """Metrics file of one stage."""
        return self.root / "metrics" / f"{stage}.json"


@contextmanager
def engine_for(
    *places: Location, backend: Literal["loky", "threading", "dask", "ray"], jobs: int, address: str | None
) -> Iterator["Engine"]:
    """Yield the engine, once all its workers are known to see `places`."""
    from latexify.fast.pandas_import import block_pandas_import
    from latexify.pipeline.engine.engine import open_engine  # help is quick

    block_pandas_import()
    with open_engine(backend, jobs=jobs, address=address) as engine:
        for place in places:
            engine.require_sees(place)
        yield engine


def seen_from_anywhere(place: Location) -> Location:
    """A place whose name does not depend on the current folder, which is another one for a worker."""
    return place.absolute() if is_local(place) else place
