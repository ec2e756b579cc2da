"""Kill `latexify ingest` and `latexify rasterize` a hundred times each, at random moments: `make kill`.

Every killed run (SIGKILL to its whole process group) is followed by the same command, which must end with the same
bytes as a run that nobody disturbed, without doing again what was done, and without leaving anything behind. Most
moments are uniform over the run; some are uniform over its end, from the last shard on, which is short and where
folders change places. Some runs are killed more than once, and half of them begin where an older artifact lies.
"""

import argparse
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from benchmarks.destroy.workspace import JOBS, STAGES, Stage, Workspace, prepare
from latexify.common.progress import Progress

SHARE_AT_THE_END = 0.3
SHARE_KILLED_AGAIN = 0.2

_TOO_LATE = "never: the run had ended before (not counted)"
_IN_PLACE = "after the artifact was in its place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """What a run makes that nobody kills. end_s: how much of `elapsed_s` came after the last unit."""

    files: dict[str, str]
    num_units: int
    elapsed_s: float
    end_s: float


@dataclass(kw_only=True)
class Tally:
    """Kills by the phase they hit; files finished before a kill that stayed, or were made again; what went wrong."""

    phases: Counter[str] = field(default_factory=Counter)
    num_identical: int = 0
    num_rounds: int = 0
    num_kept: int = 0
    num_redone: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def num_kills(self) -> int:
        """Kills that hit a run."""
        return self.phases.total() - self.phases[_TOO_LATE]


def undisturbed(workspace: Workspace, stage: Stage) -> Undisturbed:
    """Run the stage twice (the first run warms the disk's cache) and take the time of the second."""
    workspace.run(stage.name)
    num_units = len(list(workspace.out(stage).glob(stage.units)))
    started = time.monotonic()
    process = workspace.start(stage.name)
    while process.poll() is None and _count_units(workspace, stage) < num_units:
        time.sleep(0.001)
    units_done = time.monotonic()
    process.wait()
    ended = time.monotonic()
    return Undisturbed(
        files=_hashes(workspace, stage), num_units=num_units, elapsed_s=ended - started, end_s=ended - units_done
    )


def kill_often(workspace: Workspace, stage: Stage, *, num_kills: int, whole: Undisturbed, rng: Random) -> Tally:
    """Kill the stage `num_kills` times, finish it after each, and compare what it made."""
    tally = Tally()
    older = workspace.root / f"older-{stage.artifact}"
    shutil.copytree(workspace.out(stage), older)
    (older / "older").write_text("a file of the artifact that was there before")
    with Progress(f"kill {stage.name}", total=num_kills, unit="kills") as progress:
        while tally.num_kills < num_kills:
            num_before = tally.num_kills
            shutil.rmtree(workspace.out(stage), ignore_errors=True)
            if rng.random() < 0.5:
                shutil.copytree(older, workspace.out(stage))
            _round(workspace, stage, whole=whole, rng=rng, tally=tally)
            progress.advance(tally.num_kills - num_before, note=f"{len(tally.problems)} problems")
    return tally


def _round(workspace: Workspace, stage: Stage, *, whole: Undisturbed, rng: Random, tally: Tally) -> None:
    """Kill a run once or more often, finish it, and compare. A round whose kills all came too late does not count."""
    finished: dict[str, tuple[str, int]] = {}
    num_before = tally.num_kills
    while True:
        phase = _kill_once(workspace, stage, whole=whole, rng=rng)
        tally.phases[phase] += 1
        if phase in {_IN_PLACE, _TOO_LATE}:
            finished.clear()  # they are part of a whole artifact, and the same command makes a new one
        finished |= _finished_units(workspace, stage)
        if rng.random() >= SHARE_KILLED_AGAIN:
            break
    if tally.num_kills > num_before:
        workspace.run(stage.name)
        _compare(workspace, stage, whole=whole, tally=tally)
        _count_again(workspace, stage, finished=finished, num_kills=tally.num_kills - num_before, tally=tally)


def _kill_once(workspace: Workspace, stage: Stage, *, whole: Undisturbed, rng: Random) -> str:
    """Start the stage and kill it; returns the phase it was in."""
    at_the_end = rng.random() < SHARE_AT_THE_END
    moment_s = rng.uniform(0, whole.end_s if at_the_end else whole.elapsed_s)
    before = _manifest_time(workspace, stage)
    process = workspace.start(stage.name)
    while at_the_end and process.poll() is None and _count_units(workspace, stage) < whole.num_units:
        time.sleep(0.001)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=moment_s)
    with suppress(ProcessLookupError):  # a run may be faster than the undisturbed one
        os.killpg(process.pid, signal.SIGKILL)
    if process.wait() == 0:
        return _TOO_LATE
    return _phase(workspace, stage, num_units=whole.num_units, before=before)


def _phase(workspace: Workspace, stage: Stage, *, num_units: int, before: int) -> str:
    draft = workspace.draft(stage)
    if _manifest_time(workspace, stage) not in {0, before}:
        return _IN_PLACE
    if not draft.exists():
        return "before the first file"
    if (draft / "manifest.json").exists():
        return "between the manifest and the artifact's place"
    if _count_units(workspace, stage) < num_units:
        return "while workers wrote"
    return "between the last unit and the manifest"


def _manifest_time(workspace: Workspace, stage: Stage) -> int:
    try:
        return (workspace.out(stage) / "manifest.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _count_units(workspace: Workspace, stage: Stage) -> int:
    return sum(1 for _ in workspace.draft(stage).glob(stage.units))


def _finished_units(workspace: Workspace, stage: Stage) -> dict[str, tuple[str, int]]:
    """Hash and time of writing of each unit that the killed run left."""
    units = workspace.draft(stage).glob(stage.units)
    return {path.name: (_sha256(path), path.stat().st_mtime_ns) for path in units}


def _compare(workspace: Workspace, stage: Stage, *, whole: Undisturbed, tally: Tally) -> None:
    """Hold what the resumed run made against the undisturbed run."""
    tally.num_rounds += 1
    made = _hashes(workspace, stage)
    if made == whole.files:
        tally.num_identical += 1
    else:
        differing = sorted(name for name in {*made, *whole.files} if made.get(name) != whole.files.get(name))
        tally.problems.append(f"round {tally.num_rounds}: other bytes in {', '.join(differing[:5])}")
    left = [path for path in workspace.root.rglob("*") if path.suffix == ".tmp" or path.name.startswith(".")]
    if left:
        tally.problems.append(f"round {tally.num_rounds}: left over: {', '.join(path.name for path in left[:5])}")


def _count_again(
    workspace: Workspace, stage: Stage, *, finished: dict[str, tuple[str, int]], num_kills: int, tally: Tally
) -> None:
    """Count what the resumed run kept and did again.

    Each kill may cost every worker one unit: one that lies whole, but not yet what says so.
    """
    redone = []
    for name, (sha256, written_ns) in finished.items():
        path = workspace.out(stage) / name
        if not path.exists() or _sha256(path) != sha256:
            continue  # rows of it were dropped at the end, as they repeat others
        if path.stat().st_mtime_ns == written_ns:
            tally.num_kept += 1
        else:
            redone.append(name)
    tally.num_redone += len(redone)
    if len(redone) > JOBS * num_kills:
        tally.problems.append(f"round {tally.num_rounds}: made again: {', '.join(sorted(redone))}")


def _hashes(workspace: Workspace, stage: Stage) -> dict[str, str]:
    """SHA-256 of each file of the artifact, and of the metrics."""
    out, metrics = workspace.out(stage), workspace.root / "metrics" / f"{stage.name}.json"
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): _sha256(path) for path in files} | {"metrics": _sha256(metrics)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> int:
    """Print what became of every kill; 1 where a run ended otherwise than an undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of each stage")
    parser.add_argument("--inks", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stage", choices=[stage.name for stage in STAGES], help="only this one")
    arguments = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, {platform.machine()}, {JOBS} jobs", flush=True
    )
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        workspace = prepare(Path(folder, "work"), num_inks=arguments.inks)
        for stage in STAGES:
            if stage.name == "rasterize":
                workspace.run("vocab")
            whole = undisturbed(workspace, stage)
            times = f"{whole.elapsed_s:.1f} s, {whole.end_s:.2f} s of it after the last"
            print(f"\n{stage.name}: {whole.num_units} units; {times}", flush=True)
            if arguments.stage in {None, stage.name}:
                rng = Random(f"{arguments.seed}/{stage.name}")
                tally = kill_often(workspace, stage, num_kills=arguments.kills, whole=whole, rng=rng)
                failed |= bool(tally.problems)
                _print(tally)
    return 1 if failed else 0


def _print(tally: Tally) -> None:
    print("| killed | times |\n|---|---:|")
    for phase, count in tally.phases.most_common():
        print(f"| {phase} | {count} |")
    print(f"\n{tally.num_kills} kills, {tally.num_identical} of {tally.num_rounds} resumed runs identical")
    print(f"units that a killed run had finished: {tally.num_kept} kept, {tally.num_redone} made again")
    print("\n".join(tally.problems), flush=True)


if __name__ == "__main__":
    sys.exit(main())
