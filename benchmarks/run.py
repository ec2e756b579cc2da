"""Time the offline half, stage by stage: `make bench`.

Real CROHME inks where LATEXIFY_REAL_DATA is set, synthetic inks otherwise. Prints one table; results are kept, dated,
in docs/results.md.
"""

import os
import platform
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from params import Params
from pipeline import ingest, rasterize, source, vocab
from pipeline.engine import Engine

JOBS = len(os.sched_getaffinity(0))


def dataset_params() -> tuple[Params, Path]:
    """CROHME train with a carved validation split, or the synthetic default; and the folder of raw data."""
    real = os.environ.get("LATEXIFY_REAL_DATA")
    if real is None:
        return Params(), Path()
    return Params.model_validate({"dataset": "crohme"}), Path(real)


def timed(stage: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    """Seconds of wall clock that a stage takes."""
    started = time.perf_counter()
    stage(*arguments, **options)
    return time.perf_counter() - started


def run_stages(params: Params, raw: Path, folder: Path) -> dict[str, float]:
    """Run the offline stages in `folder`; seconds of each."""
    data, metrics = folder / "data", folder / "metrics"
    parallel: dict[str, Any] = {"engine": Engine(jobs=JOBS)}
    section = getattr(params, params.dataset)
    return {
        "source": timed(
            source.run,
            section,
            dataset=params.dataset,
            seed=params.seed,
            raw=raw,
            out=data / "source",
            jobs=JOBS,
        ),
        "ingest": timed(
            ingest.run,
            params.ingest,
            source=data / "source",
            out=data / "inks",
            metrics=metrics / "ingest.json",
            **parallel,
        ),
        "vocab": timed(
            vocab.run,
            params.vocab,
            base="scratch",
            inks=data / "inks",
            out=data / "tokenizer",
            metrics=metrics / "vocab.json",
        ),
        "rasterize": timed(
            rasterize.run,
            params.rasterize,
            seed=params.seed,
            inks=data / "inks",
            tokenizer=data / "tokenizer",
            out=data / "shards",
            metrics=metrics / "rasterize.json",
            **parallel,
        ),
    }


def main() -> None:
    """Print the table."""
    params, raw = dataset_params()
    with tempfile.TemporaryDirectory() as folder:
        seconds = run_stages(params, raw, Path(folder))
        num_inks = ingest.read_manifest(Path(folder, "data", "inks"), "inks", made_by="").content["inputs"]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)  # noqa: S607
    peak_mib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    canvas = params.rasterize
    print(f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}, {platform.machine()}, {JOBS} CPUs")
    print(f"{params.dataset}: {num_inks} inputs, canvas {canvas.height_px}x{canvas.width_px} px, {JOBS} jobs\n")
    print("| stage | seconds | inks/s |\n|---|---:|---:|")
    for stage, elapsed_s in seconds.items():
        print(f"| {stage} | {elapsed_s:.1f} | {num_inks / elapsed_s:.0f} |")
    both_s = seconds["ingest"] + seconds["rasterize"]
    print(f"| ingest + rasterize | {both_s:.1f} | {num_inks / both_s:.0f} |")
    print(f"\nlargest process: {peak_mib:.0f} MiB")


if __name__ == "__main__":
    main()
