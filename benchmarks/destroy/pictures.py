"""Read 20,000 damaged and hostile picture files, each as `recognize` would: `make fuzz-pictures`.

Every file must end as LaTeX, or as an error of one line: within `MAX_PICTURE_S` of CPU time and with a process of at
most `MAX_MIB`, the model included. Files are made in another process than the one that reads them, so that its memory
is that of reading. Prints a table; exits with 1 where anything went wrong, naming kind and number, from which
`--kind K --number N --write FILE` makes the file again. A picture that can be traced gives the model an input of
always the same size, so the model reads only one in `--read-every`. With `--log FILE` a run that was stopped goes on.
"""

import argparse
import multiprocessing
import os
import platform
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.destroy.checks import Checked
from benchmarks.destroy.picture_damage import counts, mutant
from benchmarks.destroy.picture_files import sound_pictures
from benchmarks.destroy.picture_log import PictureLog
from benchmarks.destroy.watch import Tally, batches, run_watched
from latexify.common.errors import LatexifyError
from latexify.serve.recognizer import Recognizer

MAX_PICTURE_S = 5.0  # CPU time of reading one file
MAX_MIB = 700.0  # largest memory of the process that reads, with the model
MAX_ERROR_CHARS = 300
CLEAR_PEAK = Path("/proc/self/clear_refs")
READ = "read"
REASONS = {
    "no image": "is not an image",
    "damaged": "is damaged",
    "too large": r"pixels(:|, the limit)|larger than",
    "too elongated": "too elongated",
    "too many scans": "too many: save",
    "blank": "is blank",
    "format refused": "not a format that can be read",
    "bad ink": "ink|XML|InkML|strokes",
}
"""Words in the errors, by which they are counted."""


def check_picture(recognizer: Recognizer, data: bytes, *, is_read: bool) -> Checked:
    """Trace a file, have it read if `is_read`, and check the outcome. What else is raised is a fault."""
    started = time.process_time()
    try:
        picture = recognizer.picture_of(data)
    except LatexifyError as error:
        text = str(error)
        reason = next((name for name, pattern in REASONS.items() if re.search(pattern, text)), "other")
        problems = [f"error of more than a short line: {text[:400]!r}"] * ("\n" in text or len(text) > MAX_ERROR_CHARS)
        return Checked(outcome=reason, read_s=time.process_time() - started, problems=problems)
    elapsed_s = time.process_time() - started
    problems = []
    if picture.ndim != 2 or picture.shape[0] != recognizer.canvas.height_px or picture.min() > 127:
        problems.append(f"a picture of shape {picture.shape} without ink")
    if is_read:
        [recognition] = recognizer.read([picture])
        if not 0 <= recognition.confidence <= 1 or "\n" in recognition.latex:
            problems.append(f"{recognition.latex!r} with confidence {recognition.confidence}")
    return Checked(outcome=READ, read_s=elapsed_s, problems=problems)


def make_pictures(receivers: Sequence[Connection], sender: Connection, make: Iterable[bytes]) -> None:
    """Send files until the process that reads them is gone. receivers: ends of pipes that are not for this process."""
    for receiver in receivers:
        receiver.close()  # or the other processes would not notice when one of them dies
    with suppress(BrokenPipeError):
        for data in make:
            sender.send_bytes(data)


def read_pictures(  # noqa: PLR0913  # what makes the files, and where the results go
    sender: Connection, kind: str, numbers: range, *, seed: int, sound: Sequence[bytes], read_every: int
) -> None:
    """Read files of a kind in a process of its own, and send what became of them. An exception ends it: a crash."""
    warnings.simplefilter("ignore")
    made, making = multiprocessing.Pipe(duplex=False)
    files = (mutant(kind, number, seed=seed, sound=sound) for number in numbers)
    context = multiprocessing.get_context("fork")
    context.Process(target=make_pictures, args=([made, sender], making, files), daemon=True).start()
    making.close()
    recognizer = Recognizer(num_threads=1)
    check_picture(recognizer, sound[0], is_read=True)
    for number in numbers:
        data = made.recv_bytes()
        CLEAR_PEAK.write_text("5", encoding="ascii")
        checked = check_picture(recognizer, data, is_read=number % read_every == 0)
        peak_mib = _peak_mib()
        problems = list(checked.problems)
        if checked.read_s > MAX_PICTURE_S:
            problems.append(f"{checked.read_s:.1f} s")
        if peak_mib > MAX_MIB:
            problems.append(f"{peak_mib:.0f} MiB")
        sender.send((replace(checked, problems=problems), peak_mib))


def _peak_mib() -> float:
    """Peak of this process's memory since `CLEAR_PEAK` was written to."""
    [line] = [each for each in Path("/proc/self/status").read_text("ascii").splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def table(tallies: Mapping[str, Tally]) -> str:
    """The tallies as a Markdown table."""
    lines = [
        "| damage | files | read | refused, by reason | slowest, s of CPU | peak, MiB |",
        "|---|---:|---:|---|---:|---:|",
    ]
    for kind, tally in tallies.items():
        reasons = ", ".join(f"{reason} {count}" for reason, count in tally.outcomes.most_common() if reason != READ)
        cells = [kind, tally.outcomes.total(), tally.outcomes[READ], reasons]
        cells += [f"{tally.slowest_read_s:.2f}", f"{tally.peak_mib:.0f}"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    everything = sum((tally.outcomes for tally in tallies.values()), Counter[str]())
    lines.append(f"\n{everything.total()} files: {everything[READ]} read, {everything.total() - everything[READ]} not")
    return "\n".join(lines)


def main() -> int:
    """Print the table; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--read-every", type=int, default=20, help="the model reads one in so many pictures")
    parser.add_argument("--log", type=Path, help="what became of each file; an existing one is continued")
    parser.add_argument("--kind", help="make one file of this kind instead …")
    parser.add_argument("--number", type=int, default=0, help="… with this number …")
    parser.add_argument("--write", type=Path, help="… and write it here")
    arguments = parser.parse_args()
    sound = sound_pictures()
    if arguments.kind:
        arguments.write.write_bytes(mutant(arguments.kind, arguments.number, seed=arguments.seed, sound=sound))
        return 0
    started = time.monotonic()
    work = partial(read_pictures, seed=arguments.seed, sound=sound, read_every=arguments.read_every)
    num_of_kinds = counts(arguments.files)
    with tempfile.TemporaryDirectory() as folder:
        log = PictureLog(arguments.log or Path(folder) / "log.jsonl", seed=arguments.seed)
        run_watched(log.missing(batches(num_of_kinds)), work, jobs=arguments.jobs, record=log.record)
        tallies = log.tallies(num_of_kinds)
    problems = [f"{kind} {problem}" for kind, tally in tallies.items() for problem in tally.problems]
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {arguments.jobs} processes")
    print(f"{arguments.files} files from {len(sound)} sound ones, seed {arguments.seed}; ", end="")
    print(f"{time.monotonic() - started:.0f} s\n\n{table(tallies)}\n\nproblems: {len(problems)}")
    print("\n".join(problems[:100]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
