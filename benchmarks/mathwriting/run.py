"""Runs every stage on an archive like MathWriting's, and notes time, memory, sizes and files of each."""

import gzip
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench.cores import num_cpus
from benchmarks.bench.measured import Target, say
from benchmarks.bench.memory import run_watched
from benchmarks.mathwriting import stages
from benchmarks.mathwriting.archive import Material, folder_counts, write_archive
from benchmarks.mathwriting.stages import CPU, Project, Seconds
from latexify.pipeline.config import ComposedParams
from latexify.pipeline.engine.engine import Engine

COMPOSED = ComposedParams(symbol_files=["symbols/mathnote.jsonl.xz"], formulas=["labels/wikipedia-formulas.txt.xz"])
"""Symbols beside CROHME's, and formulas beside its labels; of LATEXIFY_REAL_DATA."""
LOOK_S = 0.25
"""Between looks at the processes. Peaks are the kernel's own marks, so a process must only live that long."""
OUTPUTS = {
    "source": "source",
    "ingest": "inks",
    "vocab": "tokenizer",
    "rasterize": "shards",
    "train": "model",
    "predict": "predictions",
    "score": "plots",
    "report": "report",
}
"""The folder in `data/` that each stage writes."""


@dataclass(frozen=True, kw_only=True)
class Amount:
    """How much is measured. num_valid: inks that are recognised; None: as many as MathWriting has, in proportion."""

    num_inks: int
    num_valid: int | None
    train_steps: int
    unpacked: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """A stage: seconds, also of its steps; peaks in MiB; CPU seconds; and what it wrote."""

    stage: str
    seconds: float
    steps: Mapping[str, float]
    main_mib: float
    worker_mib: float
    main_cpu_s: float
    workers_cpu_s: float
    num_bytes: int
    num_files: int


def measure(folder: Path, amount: Amount, *, material: Material, base: str) -> dict[str, Any]:
    """Make the archive, unless `folder` has it, and run all stages. base: the model that the training begins with."""
    archive = folder / "mathwriting-2024.tgz"
    made = archive_of(archive, amount, material)
    project = Project(folder=folder / "project", archive=archive)
    shutil.rmtree(project.folder, ignore_errors=True)
    project.metrics("all").parent.mkdir(parents=True)
    jobs = num_cpus()
    calls: dict[str, Callable[[], Seconds]] = {
        "source": partial(stages.run_source, project),
        "ingest": partial(stages.run_ingest, project, jobs=jobs),
        "vocab": partial(stages.run_vocab, project),
        "rasterize": partial(stages.run_rasterize, project, jobs=jobs),
        "stream": partial(stages.open_stream, project),
        "train": partial(stages.run_train, project, base=base, num_steps=amount.train_steps),
        "predict": partial(stages.run_predict, project),
        "score": partial(stages.run_score, project, jobs=jobs),
        "report": partial(stages.run_report, project, jobs=jobs),
    }
    rows = [_watched(name, call, project=project) for name, call in calls.items()]
    if amount.unpacked:
        rows.append(_ingest_unpacked(folder, archive, jobs=jobs))
    return {
        "amount": asdict(amount),
        "archive": made,
        "inks": json.loads(project.metrics("ingest").read_text(encoding="utf-8")),
        "shards": json.loads(project.metrics("rasterize").read_text(encoding="utf-8")),
        "stages": [asdict(row) for row in rows],
        "targets": [asdict(target) for target in targets(rows)],
    }


def archive_of(path: Path, amount: Amount, material: Material) -> dict[str, Any]:
    """Make the archive, or find the one that an earlier run with the same numbers made."""
    note, counts = path.with_suffix(".json"), folder_counts(amount.num_inks, num_valid=amount.num_valid)
    if note.exists():
        found: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
        if found["counts"] == counts:
            return found
    note.unlink(missing_ok=True)
    started = time.perf_counter()
    totals = write_archive(path, counts, material=material, engine=Engine(jobs=num_cpus()))
    elapsed_s = time.perf_counter() - started
    made = {"counts": counts, **totals, "seconds": elapsed_s}
    say(f"archive of {amount.num_inks:,} inks", elapsed_s)
    note.write_text(json.dumps(made), encoding="utf-8")
    return made


def _watched(name: str, call: Callable[[], Seconds], *, project: Project) -> Row:
    """Run a stage in a process of its own."""
    seconds, peaks = run_watched(call, interval_s=LOOK_S)
    main_cpu_s = seconds.pop(CPU, 0.0)
    num_bytes, num_files = size_of(project.data(OUTPUTS[name])) if name in OUTPUTS else (0, 0)
    row = Row(
        stage=name,
        seconds=sum(seconds.values()),
        steps=seconds if len(seconds) > 1 else {},
        main_mib=peaks.parent_mib,
        worker_mib=peaks.worker_mib,
        main_cpu_s=main_cpu_s,
        workers_cpu_s=peaks.workers_cpu_s,
        num_bytes=num_bytes,
        num_files=num_files,
    )
    say(f"{name}: main process {row.main_mib:.0f} MiB, largest worker {row.worker_mib:.0f} MiB", row.seconds)
    return row


def _ingest_unpacked(folder: Path, archive: Path, *, jobs: int) -> Row:
    """Ingest the archive once more, as a plain tar, which workers read in place."""
    project = Project(folder=folder / "unpacked", archive=folder / "mathwriting-2024.tar")
    shutil.rmtree(project.folder, ignore_errors=True)
    project.metrics("all").parent.mkdir(parents=True)
    with gzip.open(archive) as packed, project.archive.open("wb") as file:
        shutil.copyfileobj(packed, file, 1 << 20)
    run_watched(stages.run_source, project, interval_s=LOOK_S)
    row = _watched("ingest", partial(stages.run_ingest, project, jobs=jobs), project=project)
    project.archive.unlink()
    shutil.rmtree(project.folder)
    return Row(**{**asdict(row), "stage": "ingest of the unpacked tar"})


def size_of(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files of a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def targets(rows: list[Row]) -> list[Target]:
    """What MathWriting's full size has to reach, on two cores."""
    found = {row.stage: row for row in rows}
    offline = [found["ingest"], found["rasterize"]]
    stream = found["stream"].steps
    at_most = [
        ("ingest + rasterize at 64x256 px", sum(row.seconds for row in offline), 480, "s"),
        ("main process of both", max(row.main_mib for row in offline), 300, "MiB"),
        ("largest worker of both", max(row.worker_mib for row in offline), 250, "MiB"),
        ("planning an epoch", stream["plan an epoch"], 1, "s"),
        ("opening the index, planning and the first batch", stream["open the index"] + stream["first batch"], 2, "s"),
    ]
    return [
        Target(name=name, value=value, limit=limit, unit=unit, at_least=False) for name, value, limit, unit in at_most
    ]
