"""Time new processes: `python -m benchmarks.serving.first_answer [--rounds 9]`.

It prints the time of `latexify recognize` for an ink and for a picture, and until `latexify serve` is ready, by each
runtime, as a table in Markdown. The runtimes take turns, so that a busy machine slows all of them alike.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.handwriting import encoded, ink, inkml

RUNTIMES = ("torch", "onnx")
LATEXIFY = (sys.executable, "-m", "latexify")


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds of one process: by the clock, and of the CPU until it ended."""

    wall_s: float
    cpu_s: float


def recognize(path: Path, runtime: str) -> Times:
    """Time `latexify recognize` of one file."""
    started_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [*LATEXIFY, "recognize", "--runtime", runtime, str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # this project's own command
    wall_s, after = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Times(wall_s=wall_s, cpu_s=after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def serve(runtime: str) -> Times:
    """Time `latexify serve` until it is ready; the CPU time includes its end."""
    started_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [*LATEXIFY, "serve", "--runtime", runtime, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stderr is not None
        match = re.search(r"http://\S+", process.stderr.readline())
        assert match, "the service did not print its URL"
        while not _is_ready(match[0]):
            time.sleep(0.01)
        wall_s = time.perf_counter() - started_s
        process.terminate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Times(wall_s=wall_s, cpu_s=after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=10) as answer:  # noqa: S310  # the service just started
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        ink_path, picture_path = Path(scratch, "ink.inkml"), Path(scratch, "picture.png")
        ink_path.write_bytes(inkml())
        picture_path.write_bytes(encoded(255 - 255 * ink()))
        works: dict[str, Callable[[str], Times]] = {
            "`recognize` of an InkML file": lambda runtime: recognize(ink_path, runtime),
            "`recognize` of a picture": lambda runtime: recognize(picture_path, runtime),
            "`serve` until it is ready": serve,
        }
        print("| a new process | torch | onnxruntime |\n|---|---:|---:|")
        for name, work in works.items():
            times = [{runtime: work(runtime) for runtime in RUNTIMES} for _ in range(rounds)]
            cells = [_median([each[runtime] for each in times]) for runtime in RUNTIMES]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _median(times: list[Times]) -> str:
    wall_s, cpu_s = (statistics.median(values) for values in zip(*((t.wall_s, t.cpu_s) for t in times), strict=True))
    return f"{wall_s:.2f} s ({cpu_s:.2f} s of CPU time)"


if __name__ == "__main__":
    main()
