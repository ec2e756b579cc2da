"""Peak memory of a stage's main process and of its workers, and how its time grows with the number of inks."""

import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.bench import stages
from benchmarks.bench.cores import num_cpus, open_cores
from benchmarks.bench.inks import RawInk, copies, write_tar
from benchmarks.bench.measured import Measured, Target, say
from benchmarks.bench.stages import SIDE_PX, Workspace

INTERVAL_S = 0.02
"""Between looks at the processes: a worker that comes and goes in less is not seen."""
LIMITS_MIB = {"main process": 500, "largest worker": 400}
GROWTH_LIMIT = 10.5
"""Of time, for ten times the inks."""
SAME = 1.1
"""Two peaks within a tenth of each other are called the same."""


@dataclass(kw_only=True)
class Peaks:
    """Highest resident sizes, in MiB: of a process itself, and of the largest of its descendants.

    cpu_s: seconds of CPU time of each descendant, by the number of its process.
    """

    parent_mib: float = 0.0
    worker_mib: float = 0.0
    cpu_s: dict[int, float] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)

    @property
    def workers_cpu_s(self) -> float:
        """CPU time of all descendants, each as it was last seen."""
        return sum(self.cpu_s.values())

    def update(self, parent: psutil.Process) -> None:
        """Look at the process and its descendants."""
        self.parent_mib = max(self.parent_mib, peak_mib(parent.pid))
        for child in parent.children(recursive=True):
            # a fork that has not yet become its program still shows its parent's pages
            if child.pid in self._seen:
                self.worker_mib = max(self.worker_mib, peak_mib(child.pid))
                self.cpu_s[child.pid] = max(self.cpu_s.get(child.pid, 0.0), _cpu_s(child))
            self._seen.add(child.pid)


def peak_mib(pid: int) -> float:
    """The highest resident size of a process so far, by the kernel's own mark (`VmHWM`); 0 where it has gone.

    Peaks of a few milliseconds count, which samples of the size would miss.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    # without this line: a process that has ended and waits for its parent to take note
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _cpu_s(process: psutil.Process) -> float:
    """CPU time of a process so far; 0 where it has gone."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def watch(pid: int, until: Future[Any], *, interval_s: float = INTERVAL_S) -> Peaks:
    """The peaks of a process and its descendants by the time the future is done.

    Resident size counts pages of mapped files and of shared libraries too, in every process that has them.
    """
    peaks, parent = Peaks(), psutil.Process(pid)
    while not until.done():
        peaks.update(parent)
        time.sleep(interval_s)
    peaks.update(parent)
    return peaks


def run_watched(
    call: Callable[..., Any], *arguments: Any, interval_s: float = INTERVAL_S, **options: Any
) -> tuple[Any, Peaks]:
    """Run a stage as the command line does, in a process of its own with workers of its own; its result and peaks.

    interval_s: between looks at the processes, which take about 3 ms each. The process imports the module of `call` and
    nothing else of ours.
    """
    with open_cores(num_cpus()) as pool:
        pid = pool.submit(os.getpid).result()
        future = pool.submit(call, *arguments, **options)
        peaks = watch(pid, future, interval_s=interval_s)
        return future.result(), peaks


def measure(folder: Path, inks: Sequence[RawInk], *, name: str, num_inks: int, repeats: int) -> dict[str, Measured]:
    """Ingest and rasterize `num_inks` inks, `repeats` times, on all cores: seconds and peaks of both stages."""
    workspace = Workspace(folder=folder)
    workspace.raw.mkdir(parents=True)
    write_tar(workspace.raw / "inks.tar", copies(inks, num_inks=num_inks))
    stages.run_source(workspace)
    jobs = num_cpus()
    canvas = {"height_px": SIDE_PX, "width_px": SIDE_PX}
    found: dict[str, list[float]] = {}
    for turn in range(repeats):
        rates, ingest = run_watched(stages.time_ingest, workspace, jobs=jobs)
        ingest_s = num_inks / rates["ingest"]
        if turn == 0:
            run_watched(stages.run_vocab, workspace)
        rates, rasterize = run_watched(stages.time_rasterize, workspace, jobs=jobs, **canvas)
        rasterize_s = num_inks / rates["rasterize"]
        values = {
            "ingest + rasterize": ingest_s + rasterize_s,
            "ingest: main process": ingest.parent_mib,
            "ingest: largest worker": ingest.worker_mib,
            "rasterize: main process": rasterize.parent_mib,
            "rasterize: largest worker": rasterize.worker_mib,
        }
        for key, value in values.items():
            found.setdefault(key, []).append(value)
        say(f"memory, {num_inks} inks: round {turn + 1} of {repeats}", ingest_s + rasterize_s)
    return {
        key: Measured(
            part="memory",
            name=f"{key}, {num_inks:,} inks",
            inks=name,
            cores=jobs,
            unit="s" if key == "ingest + rasterize" else "MiB",
            values=values,
        )
        for key, values in found.items()
    }


def targets(runs: dict[int, dict[str, Measured]], *, name: str) -> list[Target]:
    """Limits on memory for every number of inks; where there are two numbers, on what changes between them."""
    found = []
    for num_inks, run in runs.items():
        for who, limit in LIMITS_MIB.items():
            peak = max(run[f"{stage}: {who}"].median for stage in ("ingest", "rasterize"))
            text = f"memory of the {who}, {num_inks:,} inks"
            found.append(Target(name=text, value=peak, limit=limit, unit="MiB", at_least=False, inks=name))
    if len(runs) > 1:
        small, large = runs[min(runs)], runs[max(runs)]
        for who in LIMITS_MIB:
            peaks = [max(run[f"{stage}: {who}"].median for stage in ("ingest", "rasterize")) for run in (small, large)]
            text = f"memory of the {who}, {max(runs):,} against {min(runs):,} inks"
            found.append(Target(name=text, value=peaks[1] / peaks[0], limit=SAME, unit="x", at_least=False, inks=name))
        growth = large["ingest + rasterize"].median / small["ingest + rasterize"].median
        text = f"time of ingest + rasterize, {max(runs):,} against {min(runs):,} inks"
        allowed = GROWTH_LIMIT / 10 * max(runs) / min(runs)
        found.append(Target(name=text, value=growth, limit=allowed, unit="x", at_least=False, inks=name))
    return found


def run(
    folder: Path, inks: Sequence[RawInk], *, name: str, counts: Sequence[int], repeats: int
) -> tuple[list[Measured], list[Target]]:
    """Measure at each number of inks, under `folder`."""
    runs = {
        count: measure(folder / f"memory-{count}", inks, name=name, num_inks=count, repeats=repeats) for count in counts
    }
    return [row for found in runs.values() for row in found.values()], targets(runs, name=name)
