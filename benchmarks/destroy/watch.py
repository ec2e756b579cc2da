"""Checking many files in processes of limited memory, which are watched: a death or a hang costs the one file."""

import multiprocessing
import resource
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.destroy.checks import Checked, Checker, ReadFiles
from benchmarks.destroy.damage import Mutant
from benchmarks.destroy.hostile import LURE_FILE, LURE_URL
from benchmarks.destroy.mutations import counts, mutant
from latexify.common.progress import Progress

MAX_FILE_S = 4.0
"""CPU time that reading one file may take, and that drawing and encoding it may take."""
HANG_S = 60.0
"""Wall clock after which a file hangs; generous, as the machine may be busy with other things."""
MAX_GROWTH_BYTES = 3 * 2**29
"""Address space that a process may take beyond what it has once it has read its first file: 1.5 GiB."""
FILES_PER_PROCESS = 1000
COMPANIONS = 100
"""So many files are also read as one chunk, as their numbers are converted together."""
MAX_COMPANION_BYTES = 200_000
Work = Callable[[Connection, str, range], None]
"""What a process does: it reads the files of a kind with some numbers, and sends what became of each."""
Record = Callable[[str, int, Checked, float], None]
"""Called for each file with its kind, its number, what was found and the peak of its process's memory in MiB."""
MEMORY_FOLDER = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # the shared memory of Linux


@dataclass(frozen=True, slots=True, kw_only=True)
class Lures:
    """What files name and nobody may open: a file with a known content, and an address that listens."""

    file: Path
    url: str

    def laid_in(self, made: Mutant) -> Mutant:
        """The mutant with the real file and address in place of their stand-ins."""
        data = made.data.replace(LURE_FILE.encode(), self.file.as_uri().encode())
        data = data.replace(LURE_URL.encode(), self.url.encode())
        return Mutant(data=data, expected=made.expected, base=made.base)


@dataclass(kw_only=True)
class Tally:
    """What became of the files of one kind."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_read_s: float = 0.0
    slowest_draw_s: float = 0.0
    peak_mib: float = 0.0
    problems: list[str] = field(default_factory=list)

    def add(self, number: int, checked: Checked, peak_mib: float) -> None:
        """Count the checked on file `number`."""
        self.outcomes[checked.outcome] += 1
        self.slowest_read_s = max(self.slowest_read_s, checked.read_s)
        self.slowest_draw_s = max(self.slowest_draw_s, checked.draw_s)
        self.peak_mib = max(self.peak_mib, peak_mib)
        self.problems += [f"{number}: {problem}" for problem in checked.problems]
        if max(checked.read_s, checked.draw_s) > MAX_FILE_S:
            self.problems.append(f"{number}: {checked.read_s:.1f} s to read, {checked.draw_s:.1f} s to draw")


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
    num_of_kinds = counts(num_files)
    tallies = {kind: Tally() for kind in num_of_kinds}

    def record(kind: str, number: int, checked: Checked, peak_mib: float) -> None:
        tallies[kind].add(number, checked, peak_mib)

    work = partial(_read_files, seed=seed, sound=sound, lures=lures)
    run_watched(batches(num_of_kinds), work, jobs=jobs, record=record)
    return tallies


def batches(num_of_kinds: Mapping[str, int]) -> Iterator[tuple[str, range]]:
    """Yield kinds and numbers of files for one process after another."""
    for kind, count in num_of_kinds.items():
        for start in range(0, count, FILES_PER_PROCESS):
            yield kind, range(start, min(start + FILES_PER_PROCESS, count))


def run_watched(todo: Iterable[tuple[str, range]], work: Work, *, jobs: int, record: Record) -> None:
    """Have files read by `work` in other processes, one process for each kind and numbers of `todo`.

    `work` sends, for each number, what was found and the peak of its process's memory in MiB. A file at which a process
    dies or hangs is recorded as "crash" or "hang", and another process goes on behind it.
    """
    waiting = deque(todo)
    running: list[_Worker] = []
    with Progress("fuzz", total=sum(len(numbers) for _, numbers in waiting), unit="files") as progress:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_start(*waiting.popleft(), work))
            ready = set(wait([worker.connection for worker in running], timeout=1))
            for worker in list(running):
                is_over = worker.connection in ready and not _hear(worker, record)
                if not is_over and time.monotonic() - worker.heard_at < HANG_S:
                    continue
                running.remove(worker)
                rest = _bury(worker, record, hangs=not is_over)
                progress.advance(len(worker.numbers) - len(rest))
                if rest:
                    waiting.appendleft((worker.kind, rest))


def _start(kind: str, numbers: range, work: Work) -> _Worker:
    receiver, sender = multiprocessing.Pipe(duplex=False)
    # forked, so that it neither imports nor unpacks anything anew; this process has no threads
    context = multiprocessing.get_context("fork")
    process = context.Process(target=work, args=(sender, kind, numbers))
    process.start()
    sender.close()
    return _Worker(kind=kind, numbers=numbers, process=process, connection=receiver)


def _read_files(  # noqa: PLR0913  # what makes the files, and where the results go
    sender: Connection, kind: str, numbers: range, *, seed: int, sound: Sequence[bytes], lures: Lures
) -> None:
    """What a worker does. An exception ends it: the file it was at is then a crash, and the traceback is printed."""
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as folder:
        checker = Checker(folder=Path(folder))
        checker.check(Mutant(data=sound[0]))  # what libraries reserve when they are first used is no file's doing
        num_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = num_pages * resource.getpagesize() + MAX_GROWTH_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        companions: list[ReadFiles] = []
        for number in numbers:
            made = lures.laid_in(mutant(kind, number, seed=seed, sound=sound))
            checked, found = checker.check(made, name=f"{number}.inkml")
            if len(made.data) < MAX_COMPANION_BYTES:
                companions.append(found)
            if len(companions) == COMPANIONS or number == numbers[-1]:
                checked = replace(checked, problems=[*checked.problems, *checker.check_together(companions)])
                companions.clear()
            sender.send((checked, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def _hear(worker: _Worker, record: Record) -> bool:
    """Take one message; False where the process has ended."""
    try:
        checked, peak_mib = worker.connection.recv()
    except EOFError:
        return False
    record(worker.kind, worker.numbers[worker.num_done], checked, peak_mib)
    worker.num_done += 1
    worker.heard_at = time.monotonic()
    return True


def _bury(worker: _Worker, record: Record, *, hangs: bool) -> range:
    """End the process; returns the numbers that it did not come to."""
    if hangs:
        worker.process.kill()
    worker.process.join()
    worker.connection.close()
    if worker.num_done == len(worker.numbers):
        return range(0)
    outcome = "hang" if hangs else "crash"
    problem = f"{outcome}, exit code {worker.process.exitcode}"
    record(worker.kind, worker.numbers[worker.num_done], Checked(outcome=outcome, read_s=0.0, problems=[problem]), 0.0)
    return worker.numbers[worker.num_done + 1 :]
