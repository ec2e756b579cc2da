"""What a measurement was made on and with: figures mean nothing without it."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cairo
import psutil

from benchmarks.bench.cores import num_cpus

LIBRARIES = ("numpy", "pyarrow", "lxml", "pycairo", "pillow", "isal", "zlib-ng", "torch", "transformers", "joblib")
REPOSITORY = Path(__file__).resolve().parents[1]


def in_a_line() -> str:
    """Date, commit and processor: what a figure in the docs is given with."""
    facts = describe()
    return f"{facts['date']}, commit {facts['commit']}, {facts['cpus']} CPUs of {facts['cpu']}"


def describe() -> dict[str, Any]:
    """Date (UTC), commit, machine, versions of the libraries that take part; plain JSON values."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _git("rev-parse", "--short", "HEAD") + ("+changes" if _git("status", "--porcelain", "-uno") else ""),
        "cpu": _cpu_model(),
        "cpus": num_cpus(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "load_average": psutil.getloadavg()[0],
        "libraries": {
            "python": platform.python_version(),
            "cairo": cairo.cairo_version_string(),
            **{name: version(name) for name in LIBRARIES},
        },
    }


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)  # noqa: S603  # fixed words
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
