"""Kill a worker of a Dask and of a Ray cluster in the middle of `ingest` and of `rasterize`: `make kill-workers`.

Each cluster has four workers, as processes of this machine, and gets 50,000 inks in MathWriting's layout. When a third
of a stage's files is there, a worker that is at work is killed (SIGKILL). The stage must end by itself, with the bytes
of a run on this machine alone. Needs LATEXIFY_REAL_DATA and the extra `cluster`.
"""

import argparse
import hashlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import machine
from benchmarks.bench.inks import real_data
from benchmarks.destroy.workspace import STAGES, Stage
from benchmarks.mathwriting import run
from benchmarks.mathwriting.archive import Material
from latexify.pipeline.config import CrohmeParams
from tests.support.cluster_processes import dask_processes, ray_head

SHARE_DONE = 1 / 3
"""Of a stage's files, when a worker is killed."""
PARAMS = """
dataset: mathwriting
mathwriting: {{archive: {archive}, train_folders: [train, synthetic, symbols]}}
model: {{base: scratch}}
rasterize: {{height_px: 64, width_px: 256}}
"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Workers at an address. kill: ends one that is at work, at once, and says which."""

    backend: str
    address: str
    kill: Callable[[], str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A stage on a cluster. done_at_kill: files that were there then, of num_units. differing: files unlike ours."""

    backend: str
    stage: str
    killed: str
    done_at_kill: int
    num_units: int
    elapsed_s: float
    differing: list[str]

    @property
    def is_good(self) -> bool:
        """Whether a worker was killed in the middle, and the bytes are the same all the same."""
        return 0 < self.done_at_kill < self.num_units and not self.differing


@contextmanager
def open_cluster(backend: str, *, num_workers: int, folder: Path) -> Iterator[Cluster]:
    """Start workers on this machine. folder: for their logs."""
    if backend == "dask":
        with dask_processes(folder, code=[machine.REPOSITORY] * num_workers) as processes:

            def kill_one() -> str:
                worker = next(worker for worker in processes.workers if worker.poll() is None)
                worker.send_signal(signal.SIGKILL)
                return f"process {worker.pid}"

            yield Cluster(backend=backend, address=processes.address, kill=kill_one)
        return
    with ray_head(folder, code=machine.REPOSITORY, num_cpus=num_workers) as wait:
        yield Cluster(backend=backend, address=wait(), kill=_kill_ray_worker)


def _kill_ray_worker() -> str:
    """Kill one of the processes below this one that run a task of Ray's: they bear its name."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        for process in psutil.Process().children(recursive=True):
            try:
                title = process.cmdline()[:1]
                if title and title[0].startswith("ray::_run"):
                    process.kill()
                    return f"process {process.pid} ({title[0].strip()})"
            except psutil.Error:  # it has ended meanwhile
                continue
        time.sleep(0.01)
    raise RuntimeError("no worker of Ray's is at work")


class Project:
    """A folder with params.yaml, and what `latexify` makes in it."""

    def __init__(self, root: Path, params: str) -> None:
        self.root = root
        root.mkdir(parents=True)
        (root / "params.yaml").write_text(params, encoding="utf-8")

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command."""
        command = [sys.executable, "-m", "latexify", *words]
        with (self.root / "log").open("wb") as log:
            return subprocess.Popen(command, cwd=self.root, stdout=log, stderr=log)  # noqa: S603  # our own command

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a command. Raises RuntimeError if it fails."""
        if process.wait() != 0:
            raise RuntimeError(f"it failed: {(self.root / 'log').read_text(errors='replace')[-2000:]}")

    def run(self, *words: str) -> None:
        """Run a command to its end."""
        self.finish(self.start(*words))


def prepare(project: Project) -> None:
    """Run the offline stages on this machine alone."""
    for stage in ("source", "ingest", "vocab", "rasterize"):
        project.run(stage)


def kill_in_the_middle(project: Project, stage: Stage, cluster: Cluster) -> Outcome:
    """Run a stage on a cluster, kill a worker, and compare the files with those of this machine alone."""
    ours = project.root / "data" / stage.artifact
    num_units = len(list(ours.glob(stage.units)))
    out = project.root / cluster.backend / stage.artifact
    draft = out.with_name(f".{stage.artifact}.draft")
    started = time.monotonic()
    words = [f"--{stage.artifact}", str(out), stage.name, "--backend", cluster.backend, "--address", cluster.address]
    process = project.start(*words)
    while process.poll() is None and len(list(draft.glob(stage.units))) < SHARE_DONE * num_units:
        time.sleep(0.01)
    done = len(list(draft.glob(stage.units)))
    killed = cluster.kill() if process.poll() is None else "none: it had ended"
    project.finish(process)
    elapsed_s = time.monotonic() - started
    here, there = hashes(ours), hashes(out)
    differing = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))
    return Outcome(
        backend=cluster.backend,
        stage=stage.name,
        killed=killed,
        done_at_kill=done,
        num_units=num_units,
        elapsed_s=elapsed_s,
        differing=differing,
    )


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def kill_both(project: Project, cluster: Cluster) -> Iterator[Outcome]:
    """Kill a worker in each stage; a cluster of Dask's has one less in the second."""
    for stage in STAGES:
        yield kill_in_the_middle(project, stage, cluster)


def main() -> None:
    """Print a line for each stage and cluster; the exit code is 1 if a byte differs or nothing was killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--num-inks", type=int, default=50_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--backend", choices=["dask", "ray"], action="append", help="both, if not given")
    parser.add_argument("--folder", type=Path, help="keeps the archive for the next run")
    arguments = parser.parse_args()
    raw = real_data()
    if raw is None:
        sys.exit("LATEXIFY_REAL_DATA must name the folder of CROHME (CONTRIBUTING.md): its symbols are used")
    print(f"{machine.in_a_line()}: {arguments.num_inks:,} inks, {arguments.workers} workers")
    with tempfile.TemporaryDirectory(prefix="latexify-kill-") as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        amount = run.Amount(num_inks=arguments.num_inks, num_valid=None, train_steps=1, unpacked=False)
        archive = (folder / "mathwriting-2024.tgz").resolve()
        run.archive_of(archive, amount, Material(raw=raw, section=CrohmeParams(), composed=run.COMPOSED))
        project = Project(Path(temporary) / "project", PARAMS.format(archive=archive))
        started = time.monotonic()
        prepare(project)
        print(f"on this machine alone, all offline stages: {time.monotonic() - started:.0f} s", flush=True)
        outcomes = []
        for backend in arguments.backend or ["dask", "ray"]:
            with open_cluster(backend, num_workers=arguments.workers, folder=Path(temporary) / backend) as cluster:
                for outcome in kill_both(project, cluster):
                    outcomes.append(outcome)
                    print(line_of(outcome), flush=True)
            shutil.rmtree(project.root / backend)
    sys.exit(0 if all(outcome.is_good for outcome in outcomes) else 1)


def line_of(outcome: Outcome) -> str:
    """Say what became of a stage."""
    same = f"{len(outcome.differing)} files differ" if outcome.differing else "all bytes as on this machine alone"
    return (
        f"{outcome.backend}, {outcome.stage}: {outcome.elapsed_s:.0f} s; killed {outcome.killed} at "
        f"{outcome.done_at_kill} of {outcome.num_units} files; {same}"
    )


if __name__ == "__main__":
    main()
