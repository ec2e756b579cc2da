"""What the commands share: where a project keeps its files, and the switches that cannot change a result."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import typer

from params import Params, load_params

Jobs = Annotated[
    int, typer.Option(min=0, help="Worker processes; 0 takes one for each CPU. Results do not depend on it.")
]
Backend = Annotated[
    Literal["loky", "threading"], typer.Option(help="Processes (loky) or threads. Results do not depend on it.")
]
Device = Annotated[
    str | None, typer.Option(help="torch device such as cpu, cuda or cuda:1; the best one if not given.")
]


@dataclass
class Workspace:
    """Where a command reads its parameters and keeps its files."""

    params_path: Path
    root: Path

    @cached_property
    def params(self) -> Params:
        """The validated parameters; read on first use, so that `--help` needs no file."""
        return load_params(self.params_path)

    @property
    def raw(self) -> Path:
        """Folder of the datasets that are not generated."""
        return self.params_path.parent / self.params.raw

    def data(self, name: str) -> Path:
        """Folder of one artifact."""
        return self.root / "data" / name

    def metrics(self, stage: str) -> Path:
        """Metrics file of one stage."""
        return self.root / "metrics" / f"{stage}.json"


def usable_cpus() -> int:
    """Number of CPUs this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
