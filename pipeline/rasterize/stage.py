"""The rasterize stage: draw every ink and write WebDataset shards, in parallel.

The main process only plans: it assigns samples to shards, tells each task where its inks are (or sends them, if workers
cannot read them), and joins the rows of the index. Workers encode the labels and make the inks readable at random; then
they draw and encode the samples, write the shard with a record of it beside it, and return that record. So memory stays
flat, workers may be on other machines, and no shard's bytes depend on the number of workers or their order.

A run that continues after an interruption finds the finished shards by their records.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from typing import Any

import joblib
import pyarrow as pa

from latexify.artifacts.draft import draft_of, keep_only
from latexify.artifacts.files import open_parquet, write_json, write_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest, require_input, write_manifest
from latexify.artifacts.names import DATASETS_KEY, INDEX_NAME, INKS, PICTURES_KEY, REJECTS_NAME, SHARDS, TOKENIZER
from latexify.common.progress import Progress
from latexify.pipeline.config import RasterizeParams
from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.engine.engine import Call, Engine
from latexify.pipeline.engine.versions import versions
from latexify.pipeline.inks.ink import SPLITS, Rejection
from latexify.pipeline.inks.schemas import REJECT_SCHEMA
from latexify.pipeline.rasterize.plan import ShardPlan, ShardRows, plan_shards
from latexify.pipeline.rasterize.variants import Variation
from latexify.pipeline.rasterize.worker import RenderSettings, ShardTask, draw_shard, find_shard
from latexify.shards.format.record import recorded_shards, write_index_from_records
from latexify.shards.format.writer import ShardRecord, shard_name

FORMAT_VERSION = 4


def run(  # noqa: PLR0913  # the contract of every stage: parameters, inputs, outputs, and how to run
    params: RasterizeParams,
    *,
    seed: int,
    inks: Location,
    tokenizer: Location,
    out: Location,
    metrics: Location,
    engine: Engine,
) -> dict[str, Any]:
    """Draw every ink and write the shard folder `out`, or continue an interrupted run; see docs/reference/shards.md.

    `seed` decides the variants. Returns what it writes into `metrics`: counts of samples, shards, bytes and rejections,
    and the mean number of tokens; if there are several datasets, also the samples of each. Raises LatexifyError if an
    input is missing, was made from other inks, or leaves no sample.
    """
    manifest = _manifest(params, seed=seed, inks=inks, tokenizer=tokenizer)
    datasets = list(read_manifest(inks, INKS).content.get(DATASETS_KEY, ()))
    settings = replace(_settings(params, seed=seed, manifest=manifest), datasets=datasets)
    with (
        draft_of(out, build_key=settings.build_key) as draft,
        plan_shards(params, inks=inks, tokenizer=tokenizer, draft=draft, engine=engine) as plan,
    ):
        shards = _write_shards(plan, draft, settings=settings, engine=engine)
        splits = _splits(shards, plan.shards)
        index = write_index_from_records(draft, [shard.name for shard in shards])
        rejects = pa.Table.from_pylist([asdict(rejection) for rejection in plan.rejected], schema=REJECT_SCHEMA)
        write_parquet(draft / REJECTS_NAME, rejects)
        keep_only(draft, {INDEX_NAME, REJECTS_NAME, *(shard.name for shard in shards)})
        content = {"splits": splits, "num_rejected": len(plan.rejected), "index": index}
        summary = _summarise(shards, splits, plan.rejected)
        if datasets:
            content[DATASETS_KEY] = datasets
            summary[DATASETS_KEY] = _count_datasets(draft, datasets)
        write_json(metrics, summary)  # before `out` exists: a run killed here is repeated quickly
        write_manifest(draft, replace(manifest, content=content))
    return summary


def _manifest(params: RasterizeParams, *, seed: int, inks: Location, tokenizer: Location) -> Manifest:
    """Return the manifest without its content. It holds the seed only if there are variants."""
    inks_manifest = read_manifest(inks, INKS)
    tokenizer_manifest = read_manifest(tokenizer, TOKENIZER)
    require_input(tokenizer_manifest, inks_manifest, where=tokenizer)
    inputs = {manifest.kind: manifest.fingerprint for manifest in (inks_manifest, tokenizer_manifest)}
    shaping = params.identity() | ({"seed": seed} if params.variants > 1 else {})
    if PICTURES_KEY in inks_manifest.content:
        shaping[PICTURES_KEY] = inks_manifest.content[PICTURES_KEY]
    return Manifest(kind=SHARDS.kind, version=FORMAT_VERSION, params=shaping, inputs=inputs)


def _settings(params: RasterizeParams, *, seed: int, manifest: Manifest) -> RenderSettings:
    canvas = Canvas(**params.model_dump(include={field.name for field in fields(Canvas)}))
    replace(canvas, pen_width_px=params.widest_pen_px)  # raises if the widest pen does not fit
    return RenderSettings(
        artifact=manifest.fingerprint,
        canvas=canvas,
        variation=Variation(strength=params.variation, stroke_dropout=params.stroke_dropout, seed=seed),
        versions=versions(),
    )


def _write_shards(plan: ShardPlan, draft: Location, *, settings: RenderSettings, engine: Engine) -> list[ShardRecord]:
    """Write the shards that do not exist yet; return the records of all, in the order of the plan."""
    shards: dict[int, ShardRecord] = {}
    with Progress("rasterize", total=sum(map(len, plan.shards)), unit="samples") as progress:
        for index, shard in engine.run(_find_calls(plan, draft, settings=settings), in_order=False):
            if shard is not None:
                shards[index] = shard
                progress.advance(shard.num_samples)
        if shards:
            progress.message(f"rasterize: continuing, {len(shards)} of {len(plan.shards)} shards exist")
        missing = [index for index in range(len(plan.shards)) if index not in shards]
        for index, shard in engine.run(_draw_calls(plan, missing, draft, settings=settings), in_order=False):
            shards[index] = shard
            progress.advance(shard.num_samples)
    return [shards[index] for index in range(len(plan.shards))]


def _find_calls(plan: ShardPlan, draft: Location, *, settings: RenderSettings) -> Iterator[Call]:
    """Calls that find the shards of an interrupted run; hashing them takes long enough to do it in parallel."""
    recorded = recorded_shards(draft)
    for index, shard in enumerate(plan.shards):
        if (name := shard_name(shard.split, shard.number)) in recorded:
            yield joblib.delayed(find_shard)(index, name, draft=draft, settings=settings)


def _draw_calls(plan: ShardPlan, missing: list[int], draft: Location, *, settings: RenderSettings) -> Iterator[Call]:
    for index in missing:
        shard = plan.shards[index]
        task = ShardTask(split=shard.split, number=shard.number, inks=plan.inks(shard.rows), variants=shard.variants)
        yield joblib.delayed(draw_shard)(index, task, draft=draft, settings=settings)


def _splits(shards: list[ShardRecord], planned: list[ShardRows]) -> dict[str, Any]:
    """Return the splits as they stand in the manifest; a split without samples is listed without shards."""
    splits: dict[str, Any] = {split: {"num_samples": 0, "shards": []} for split in SPLITS}
    for shard, rows in zip(shards, planned, strict=True):
        entry = splits[rows.split]
        entry["num_samples"] += shard.num_samples
        entry["shards"].append({name: getattr(shard, name) for name in ("name", "num_samples", "num_bytes", "sha256")})
    return splits


def _count_datasets(folder: Location, datasets: list[str]) -> dict[str, dict[str, int]]:
    """Count the samples of each dataset by split, from the index."""
    counts: Counter[tuple[str, str]] = Counter()
    with open_parquet(folder / INDEX_NAME) as file:
        for batch in file.iter_batches(columns=["dataset", "split"]):
            counts.update(zip(batch["dataset"].to_pylist(), batch["split"].to_pylist(), strict=True))
    return {name: {split: counts[name, split] for split in SPLITS} for name in datasets}


def _summarise(shards: list[ShardRecord], splits: dict[str, Any], rejected: list[Rejection]) -> dict[str, Any]:
    """Return the numbers of ``metrics/rasterize.json``."""
    return {
        "samples": {split: entry["num_samples"] for split, entry in splits.items()},
        "shards": {split: len(entry["shards"]) for split, entry in splits.items()},
        "num_bytes": sum(shard["num_bytes"] for entry in splits.values() for shard in entry["shards"]),
        "mean_tokens": sum(shard.num_tokens for shard in shards) / sum(shard.num_samples for shard in shards),
        "rejected": dict(sorted(Counter(str(rejection.reason) for rejection in rejected).items())),
    }
