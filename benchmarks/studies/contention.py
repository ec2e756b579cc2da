"""What other work on the same cores does to a training: `python -m benchmarks.studies.contention`.

A training step (`benchmarks.studies.gpu` on the CPU) by two OpenMP threads, by two that sleep while they wait for each
other, and by one; each first alone, then with a busy process for every core.
"""

import argparse
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.machine import in_a_line

WAYS: Mapping[str, Mapping[str, str]] = {
    "two threads": {"OMP_NUM_THREADS": "2"},
    "two threads, OMP_WAIT_POLICY=PASSIVE": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"},
    "one thread": {"OMP_NUM_THREADS": "1"},
}
SAMPLES_PER_S_CELL = 2
"""Of a row of `benchmarks.studies.gpu`'s table, split at its bars."""


def spin() -> None:
    """Other work."""
    while True:
        pass


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that never rest."""
    others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(count)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def inks_per_s(setting: Mapping[str, str], *, preset: str, steps: int) -> float:
    """Of a training in a process of its own, with these environment variables."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.studies.gpu",
        "--device",
        "cpu",
        "--preset",
        preset,
        "--precisions",
        "fp32",
    ]
    command += ["--height-px", "32", "--width-px", "128", "--vocabulary", "120", "--global-batch", "32"]
    command += ["--micro-batch", "32", "--workers", "0", "--steps", str(steps)]
    environment = {**os.environ, **setting}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603  # ours
    return float(done.stdout.splitlines()[-1].split("|")[SAMPLES_PER_S_CELL])


def main(arguments: list[str]) -> str:
    """Measure; returns the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--busy", type=int, default=os.cpu_count(), help="processes of other work")
    options = parser.parse_args(arguments)
    lines = [f"| inks/s, `{options.preset}` | alone | beside {options.busy} busy processes |", "|---|---:|---:|"]
    for name, setting in WAYS.items():
        alone = inks_per_s(setting, preset=options.preset, steps=options.steps)
        with busy(options.busy):
            beside = inks_per_s(setting, preset=options.preset, steps=options.steps)
        lines.append(f"| {name} | {alone:.1f} | {beside:.1f} |")
    return f"{in_a_line()}\n\n" + "\n".join(lines)


if __name__ == "__main__":
    print(main(sys.argv[1:]))
