"""Planning an epoch of a million samples, and taking up a stream in the middle of it."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.bench.cores import Pools
from benchmarks.bench.measured import Job, Measured, Target, take_turns
from latexify.artifacts.names import INDEX_NAME, MANIFEST_NAME
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from latexify.shards.format.writer import shard_name
from latexify.shards.reading.plan import plan_epoch
from latexify.trainer.config import TrainParams
from latexify.trainer.data.batches import close_loader, open_loader
from latexify.trainer.data.slices import Position

SAMPLES_PER_SHARD = 1000
GLOBAL_BATCH = 64


def tile_shards(shards: Path, out: Path, *, num_samples: int) -> int:
    """Make a shard folder of at least `num_samples` training samples out of a small one; returns their number.

    The training shards are linked under new names, as often as it takes, and the index says so: only the keys
    repeat, and whoever opens or reads the folder does the same work as for one that was drawn.
    """
    manifest = json.loads((shards / MANIFEST_NAME).read_text(encoding="utf-8"))
    train = manifest["content"]["splits"]["train"]
    times = -(-num_samples // int(train["num_samples"]))
    index = pq.read_table(shards / INDEX_NAME, filters=[("split", "==", "train")])
    out.mkdir(parents=True)
    tables, entries = [], []
    for turn in range(times):
        first = turn * len(train["shards"])
        names = {shard["name"]: shard_name("train", first + place) for place, shard in enumerate(train["shards"])}
        for old, new in names.items():
            os.link(shards / old, out / new)
        renamed = pa.array([names[name] for name in index["shard"].to_pylist()], pa.string())
        tables.append(index.set_column(index.schema.get_field_index("shard"), index.schema.field("shard"), renamed))
        entries += [{**shard, "name": names[shard["name"]]} for shard in train["shards"]]
    total: int = times * train["num_samples"]
    manifest["content"]["splits"] = {"train": {**train, "num_samples": total, "shards": entries}}
    (out / MANIFEST_NAME).write_text(json.dumps(manifest), encoding="utf-8")
    pq.write_table(pa.concat_tables(tables), out / INDEX_NAME, compression="zstd")
    return total


def time_planning(*, num_samples: int) -> dict[str, float]:
    """Seconds to plan an epoch."""
    rng = np.random.default_rng(1)
    # label lengths of MathWriting: 17.8 tokens on average, with a long tail
    num_tokens = np.clip(rng.gamma(2.5, 7.0, num_samples), 1, 256).astype(np.int32)
    shard_ids = (np.arange(num_samples) // SAMPLES_PER_SHARD).astype(np.int32)
    started = time.perf_counter()
    plan_epoch(num_tokens, shard_ids, seed=1, epoch=3, global_batch=GLOBAL_BATCH)
    return {"plan": time.perf_counter() - started}


def time_resuming(tiled: Path, *, workers: int) -> dict[str, float]:
    """Seconds from nothing to the first batch in the middle of the second epoch; and of opening the index alone."""
    params = TrainParams(global_batch=GLOBAL_BATCH, micro_batch=GLOBAL_BATCH, loader_workers=workers)
    started = time.perf_counter()
    index = open_split(tiled, "train")
    opened = time.perf_counter()
    start = Position(epoch=1, batch=len(index) // GLOBAL_BATCH // 2)
    batches = iter(open_loader(index, params, seed=1, start=start, pin_memory=False))
    try:
        first: Any = next(batches)
        resumed = time.perf_counter()
    finally:
        close_loader(batches)
    if isinstance(first, LatexifyError):
        raise first
    assert first.slice.position == start
    return {"open": opened - started, "resume": resumed - started}


def run(
    shards: Path, *, folder: Path, num_samples: int, repeats: int, pools: Pools
) -> tuple[list[Measured], list[Target]]:
    """Plan an epoch on one core; resume in the middle of one on all. `folder`: where the large shard folder goes."""
    total = tile_shards(shards, folder, num_samples=num_samples)
    jobs = {
        "plan": Job(pool=pools.one, call=time_planning, arguments={"num_samples": num_samples}),
        "resume": Job(pool=pools.ours, call=time_resuming, arguments={"tiled": folder, "workers": 1}),
    }
    times = take_turns(jobs, repeats=repeats, title="plan")
    planning = _row("planning an epoch", times["plan"]["plan"])
    resuming = _row("opening it, planning, and the first batch in mid-epoch", times["resume"]["resume"])
    measured = [
        planning,
        _row("opening the index", times["resume"]["open"]),
        resuming,
    ]
    return measured, [
        _target(f"planning an epoch of {num_samples:,} samples", planning, limit_s=1),
        _target(f"resuming in the middle of {total:,} samples", resuming, limit_s=2),
    ]


def _row(name: str, values: list[float]) -> Measured:
    return Measured(part="plan", name=name, unit="s", values=values)


def _target(name: str, row: Measured, *, limit_s: float) -> Target:
    return Target(name=name, value=row.median, limit=limit_s, unit="s", at_least=False)
