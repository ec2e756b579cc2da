"""A dataset on disk and the command line run on it, in process groups that can be killed."""

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from benchmarks.destroy.corpus import real_data
from latexify.pipeline.config import SyntheticParams
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.synthesis.dataset import plan, write_inks

REPOSITORY = Path(__file__).resolve().parents[2]
JOBS = 2
NUM_REPEATED = 40
"""Inks that the dataset holds twice, so that the end of `ingest` has rows to drop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage to kill. units: pattern of the files that its workers write one after another."""

    name: str
    artifact: str
    units: str


STAGES = (
    Stage(name="ingest", artifact="inks", units="part-*.parquet"),
    Stage(name="rasterize", artifact="shards", units="*.tar"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A folder with params.yaml, and the data of the stages before."""

    root: Path

    def start(self, stage: str) -> subprocess.Popen[bytes]:
        """Start a stage in a process group of its own."""
        words = ["--params", str(self.root / "params.yaml"), "--root", str(self.root), stage]
        words += [] if stage == "vocab" else ["--jobs", str(JOBS)]
        command = [sys.executable, "-m", "latexify", *words]
        with (self.root / "log").open("wb") as log:
            return subprocess.Popen(command, cwd=REPOSITORY, start_new_session=True, stdout=log, stderr=log)  # noqa: S603  # our own command

    def run(self, stage: str) -> None:
        """Run a stage to its end."""
        if self.start(stage).wait() != 0:
            raise RuntimeError(f"{stage} failed:\n{(self.root / 'log').read_text(errors='replace')[-2000:]}")

    def draft(self, stage: Stage) -> Path:
        """Where the unfinished artifact lies."""
        return self.root / "data" / f".{stage.artifact}.draft"

    def out(self, stage: Stage) -> Path:
        """Where the artifact lies."""
        return self.root / "data" / stage.artifact


def prepare(root: Path, *, num_inks: int) -> Workspace:
    """Make a dataset of `num_inks` files (CROHME's where they are at hand) and run `source` on it."""
    (root / "raw").mkdir(parents=True)
    with tarfile.open(root / "raw/inks.tar", "w") as archive:
        files = list(_inks(num_inks))
        for number, data in enumerate([*files, *files[:: max(1, len(files) // NUM_REPEATED)]]):
            info = tarfile.TarInfo(f"{number:05d}.inkml")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    params = {
        "dataset": "inkml",
        "raw": "raw",
        "inkml": {"paths": ["inks.tar"]},
        "rasterize": {"samples_per_shard": max(1, num_inks // 20)},
    }
    with (root / "params.yaml").open("w") as file:
        YAML().dump(params, file)
    workspace = Workspace(root=root)
    workspace.run("source")
    return workspace


def _inks(count: int) -> Iterator[bytes]:
    real = real_data()
    if real is not None:
        members = iter_members(real / "crohme" / "train.tar.xz", max_bytes=200_000)
        files = (member.data for member in members if member.data)
    else:
        params = SyntheticParams(num_train=count)
        files = (data for task in plan(params, "train") for _, data in write_inks(task, params, seed=1))
    for data, _ in zip(files, range(count), strict=False):
        yield data
