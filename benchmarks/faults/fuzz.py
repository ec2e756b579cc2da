"""Read 100,000 ruined InkML files, each as `ingest` would, and hold every outcome to the contract: `make fuzz`.

Every file must end as a row that can be drawn and encoded, or as a rejection with a reason: within `MAX_READ_S` of CPU
time, within `MAX_ADDRESS_BYTES` of address space (a resource limit of the process that reads it), without opening a
file or an address that it names. Prints a table; exits with 1 where anything went wrong, naming kind and number, from
which `--kind K --number N --write FILE` makes the file again.
"""

import argparse
import multiprocessing
import os
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.faults.batches import Account, run_batches
from benchmarks.faults.corpus import real_data, sound_inks
from benchmarks.faults.damage import Mutant
from benchmarks.faults.hostile import LURE_FILE, LURE_URL
from benchmarks.faults.judge import ROW, SECRET, Judge, Verdict
from benchmarks.faults.mutations import counts, mutant

MAX_READ_S = 2.0
"""CPU time that reading one file may take, and that drawing and encoding it may take."""
HANG_S = 60.0
"""Wall clock after which a file hangs; generous, as the machine may be busy with other things."""
MAX_ADDRESS_BYTES = 2 * 2**30
FILES_PER_PROCESS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lures:
    """What files name and nobody may open: a file with a known content, and an address that listens."""

    file: Path
    url: str

    def laid_in(self, made: Mutant) -> Mutant:
        """The mutant with the real file and address in place of their stand-ins."""
        data = made.data.replace(LURE_FILE.encode(), self.file.as_uri().encode()).replace(LURE_URL.encode(), self.url.encode())
        return Mutant(data=data, expected=made.expected, base=made.base)


@dataclass(kw_only=True)
class Tally:
    """What became of the files of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_read_s: float = 0.0
    slowest_draw_s: float = 0.0
    peak_mib: float = 0.0
    problems: list[str] = field(default_factory=list)

    def add(self, number: int, verdict: Verdict, peak_mib: float) -> None:
        """Count the verdict on file `number`."""
        self.outcomes[verdict.outcome] += 1
        self.slowest_read_s = max(self.slowest_read_s, verdict.read_s)
        self.slowest_draw_s = max(self.slowest_draw_s, verdict.draw_s)
        self.peak_mib = max(self.peak_mib, peak_mib)
        self.problems += [f"{number}: {problem}" for problem in verdict.problems]
        if max(verdict.read_s, verdict.draw_s) > MAX_READ_S:
            self.problems.append(f"{number}: {verdict.read_s:.1f} s to read, {verdict.draw_s:.1f} s to draw")


@dataclass(kw_only=True)
class _Worker:
    """A process that reads files `numbers` of a kind, one after another, and says what became of each."""

    kind: str
    numbers: range
    process: BaseProcess
    connection: Connection
    num_done: int = 0
    heard_at: float = field(default_factory=time.monotonic)


def fuzz(num_files: int, *, seed: int, sound: Sequence[bytes], jobs: int, lures: Lures) -> dict[str, Tally]:
    """Read `num_files` files in processes of limited memory; what became of them, by kind."""
    tallies = {kind: Tally() for kind in counts(num_files)}
    waiting = deque(
        (kind, range(start, min(start + FILES_PER_PROCESS, count)))
        for kind, count in counts(num_files).items()
        for start in range(0, count, FILES_PER_PROCESS)
    )
    running: list[_Worker] = []
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(_start(*waiting.popleft(), seed=seed, sound=sound, lures=lures))
        ready = set(wait([worker.connection for worker in running], timeout=1))
        for worker in list(running):
            is_over = worker.connection in ready and not _hear(worker, tallies[worker.kind])
            if not is_over and time.monotonic() - worker.heard_at < HANG_S:
                continue
            running.remove(worker)
            rest = _bury(worker, tallies[worker.kind], hangs=not is_over)
            if rest:
                waiting.appendleft((worker.kind, rest))
    return tallies


def _start(kind: str, numbers: range, *, seed: int, sound: Sequence[bytes], lures: Lures) -> _Worker:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    # forked, so that it neither imports nor unpacks anything anew; this process has no threads
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_read_files, args=(sender, kind, numbers, seed, sound, lures))
    process.start()
    sender.close()
    return _Worker(kind=kind, numbers=numbers, process=process, connection=receiver)


def _read_files(sender: Connection, kind: str, numbers: range, seed: int, sound: Sequence[bytes], lures: Lures) -> None:
    """What a worker does. An exception ends it: the file it was at is then a crash, and the traceback is printed."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    judge = Judge()
    for number in numbers:
        verdict = judge.judge(lures.laid_in(mutant(kind, number, seed=seed, sound=sound)))
        sender.send((verdict, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def _hear(worker: _Worker, tally: Tally) -> bool:
    """Take one message; False where the process has ended."""
    try:
        verdict, peak_mib = worker.connection.recv()
    except EOFError:
        return False
    tally.add(worker.numbers[worker.num_done], verdict, peak_mib)
    worker.num_done += 1
    worker.heard_at = time.monotonic()
    return True


def _bury(worker: _Worker, tally: Tally, *, hangs: bool) -> range:
    """End the process; returns the numbers that it did not come to."""
    if hangs:
        worker.process.kill()
    worker.process.join()
    worker.connection.close()
    if worker.num_done == len(worker.numbers):
        return range(0)
    outcome = "hang" if hangs else "crash"
    tally.outcomes[outcome] += 1
    tally.problems.append(f"{worker.numbers[worker.num_done]}: {outcome}, exit code {worker.process.exitcode}")
    return worker.numbers[worker.num_done + 1 :]


def table(tallies: Mapping[str, Tally]) -> str:
    """The tallies as a Markdown table."""
    lines = ["| damage | files | rows | rejected, by reason | slowest to read, ms | to draw, ms | peak, MiB |", "|---|---:|---:|---|---:|---:|---:|"]
    for kind, tally in tallies.items():
        reasons = ", ".join(f"{reason} {count}" for reason, count in tally.outcomes.most_common() if reason != ROW)
        lines.append(
            f"| {kind} | {tally.outcomes.total()} | {tally.outcomes[ROW]} | {reasons} | {tally.slowest_read_s * 1e3:.0f} "
            f"| {tally.slowest_draw_s * 1e3:.0f} | {tally.peak_mib:.0f} |"
        )
    everything = sum((tally.outcomes for tally in tallies.values()), Counter[str]())
    slowest_s = max(max(tally.slowest_read_s, tally.slowest_draw_s) for tally in tallies.values())
    lines.append(f"\n{everything.total()} files: {everything[ROW]} rows, {everything.total() - everything[ROW]} rejected")
    lines.append(f"slowest: {slowest_s:.2f} s of CPU; largest process: {max(tally.peak_mib for tally in tallies.values()):.0f} MiB")
    return "\n".join(lines)


def main() -> int:
    """Print the tables; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--archives", type=int, default=12, help="archives of 500 files to take through the stages")
    parser.add_argument("--kind", help="make one file of this kind instead …")
    parser.add_argument("--number", type=int, default=0, help="… with this number …")
    parser.add_argument("--write", type=Path, help="… and write it here")
    arguments = parser.parse_args()
    sound = sound_inks(real_data())
    if arguments.kind:
        arguments.write.write_bytes(mutant(arguments.kind, arguments.number, seed=arguments.seed, sound=sound).data)
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        lures = Lures(file=Path(folder, "secret"), url=f"http://127.0.0.1:{listener.getsockname()[1]}/ink")
        lures.file.write_text(SECRET, encoding="utf-8")
        tallies = fuzz(arguments.files, seed=arguments.seed, sound=sound, jobs=arguments.jobs, lures=lures)
        accounts = run_batches(arguments.archives, seed=arguments.seed, sound=sound, folder=Path(folder, "batches"))
        was_called = bool(wait([listener], timeout=0))
    problems = [f"{kind} {problem}" for kind, tally in tallies.items() for problem in tally.problems]
    problems += [f"archive {number}: {problem}" for number, account in enumerate(accounts) for problem in account.problems]
    problems += ["somebody contacted the address that files name"] * was_called
    _report(arguments, tallies, accounts, problems, num_sound=len(sound), elapsed_s=time.monotonic() - started)
    return 1 if problems else 0


def _report(  # noqa: PLR0913  (all that is printed)
    arguments: argparse.Namespace,
    tallies: Mapping[str, Tally],
    accounts: Sequence[Account],
    problems: Sequence[str],
    *,
    num_sound: int,
    elapsed_s: float,
) -> None:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, {platform.machine()}, {arguments.jobs} processes")
    print(f"{arguments.files} files from {num_sound} sound ones, seed {arguments.seed}; {elapsed_s:.0f} s\n")
    print(table(tallies))
    print("\n| archive | members | inputs | rows | rejected | samples |\n|---|---:|---:|---:|---:|---:|")
    for account in accounts:
        print(f"| {account.form} | {account.num_members} | {account.num_inputs} | {account.num_rows} | {account.num_rejected} | {account.num_samples} |")
    print(f"\nproblems: {len(problems)}")
    print("\n".join(problems[:100]))


if __name__ == "__main__":
    sys.exit(main())
