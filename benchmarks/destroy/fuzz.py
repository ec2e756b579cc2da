"""Read 100,000 ruined InkML files, each as `ingest` would, and hold every outcome to the contract: `make fuzz`.

Every file must end as a row that can be drawn and encoded, or as a rejection with a reason: within `MAX_FILE_S` of CPU
time, within `MAX_GROWTH_BYTES` of address space (a resource limit of the process that reads it), without opening a
file or an address that it names. Prints a table; exits with 1 where anything went wrong, naming kind and number, from
which `--kind K --number N --write FILE` makes the file again.
"""

import argparse
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from multiprocessing.connection import wait
from pathlib import Path

from benchmarks.destroy.batches import Account, run_batches
from benchmarks.destroy.checks import ROW, SECRET
from benchmarks.destroy.corpus import real_data, sound_inks
from benchmarks.destroy.mutations import mutant
from benchmarks.destroy.watch import Lures, Tally, fuzz


def table(tallies: Mapping[str, Tally]) -> str:
    """The tallies as a Markdown table."""
    lines = [
        "| damage | files | rows | rejected, by reason | slowest to read, ms | to draw, ms | peak, MiB |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for kind, tally in tallies.items():
        reasons = ", ".join(f"{reason} {count}" for reason, count in tally.outcomes.most_common() if reason != ROW)
        cells = [kind, tally.outcomes.total(), tally.outcomes[ROW], reasons]
        cells += [f"{tally.slowest_read_s * 1e3:.0f}", f"{tally.slowest_draw_s * 1e3:.0f}", f"{tally.peak_mib:.0f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    everything = sum((tally.outcomes for tally in tallies.values()), Counter[str]())
    slowest_s = max(max(tally.slowest_read_s, tally.slowest_draw_s) for tally in tallies.values())
    peak_mib = max(tally.peak_mib for tally in tallies.values())
    lines.append(
        f"\n{everything.total()} files: {everything[ROW]} rows, {everything.total() - everything[ROW]} rejected"
    )
    lines.append(f"slowest: {slowest_s:.2f} s of CPU; largest process: {peak_mib:.0f} MiB")
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
    started, arguments.commit = time.monotonic(), _commit()
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        lures = Lures(file=Path(folder, "secret"), url=f"http://127.0.0.1:{listener.getsockname()[1]}/ink")
        lures.file.write_text(SECRET, encoding="utf-8")
        tallies = fuzz(arguments.files, seed=arguments.seed, sound=sound, jobs=arguments.jobs, lures=lures)
        accounts = run_batches(
            range(arguments.archives), seed=arguments.seed, sound=sound, folder=Path(folder, "batches")
        )
        was_called = bool(wait([listener], timeout=0))
    problems = [f"{kind} {problem}" for kind, tally in tallies.items() for problem in tally.problems]
    problems += [
        f"archive {number}: {problem}" for number, account in enumerate(accounts) for problem in account.problems
    ]
    problems += ["somebody contacted the address that files name"] * was_called
    _report(arguments, tallies, accounts, problems, num_sound=len(sound), elapsed_s=time.monotonic() - started)
    return 1 if problems else 0


def _commit() -> str:
    revision = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(revision, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603  # our own


def _report(  # noqa: PLR0913  (all that is printed)
    arguments: argparse.Namespace,
    tallies: Mapping[str, Tally],
    accounts: Sequence[Account],
    problems: Sequence[str],
    *,
    num_sound: int,
    elapsed_s: float,
) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {arguments.commit}, {platform.machine()}, {arguments.jobs} processes")
    print(f"{arguments.files} files from {num_sound} sound ones, seed {arguments.seed}; {elapsed_s:.0f} s\n")
    print(table(tallies))
    print("\n| archive | members | inputs | rows | rejected | samples |\n|---|---:|---:|---:|---:|---:|")
    for each in accounts:
        cells = (each.form, each.num_members, each.num_inputs, each.num_rows, each.num_rejected, each.num_samples)
        print(f"| {' | '.join(map(str, cells))} |")
    print(f"\nproblems: {len(problems)}")
    print("\n".join(problems[:100]))


if __name__ == "__main__":
    sys.exit(main())
