"""Rasterize: rows of strokes to shards of pictures, in parallel.

The main process only plans: it decides which samples stand in which shard, says of each shard where its inks lie (or
sends them, where workers cannot see that), and joins the rows of the index. Workers encode the labels and put the inks
where any of them is found at once; then they draw and encode the samples, write the shard where it belongs with its
rows of the index beside it, and return its size and hash. So memory stays flat, workers may be on other machines, and
no shard's bytes depend on how many workers there were or who came first.

By those rows a run that goes on after an interruption knows the shards that are there.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import joblib
import pyarrow as pa

from latexify.artifacts.draft import draft_of, keep_only
from latexify.artifacts.files import write_json, write_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, read_manifest, require_input, write_manifest
from latexify.artifacts.names import INDEX_NAME, INKS, REJECTS_NAME, SHARDS, TOKENIZER
from latexify.common.progress import Progress
from latexify.pipeline.config import RasterizeParams
from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.engine.engine import Call, Engine
from latexify.pipeline.engine.versions import versions
from latexify.pipeline.inks.ink import REJECT_SCHEMA, SPLITS, Rejection
from latexify.pipeline.rasterize.plan import ShardPlan, plan_shards
from latexify.pipeline.rasterize.sample_order import ShardRows
from latexify.pipeline.rasterize.variants import Variation
from latexify.pipeline.rasterize.worker import Recipe, ShardTask, look_for_shard, render_shard
from latexify.shards.format.record import ShardRecord, recorded_shards, write_index_of
from latexify.shards.format.writer import shard_name

FORMAT_VERSION = 3


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
    """Draw every ink of the folder `inks` and write the shard folder `out`; see docs/reference/shards.md for its format.

    seed: of the variants. engine: where the drawing runs; it changes no byte. An interrupted run is gone on with.
    Returns what it writes to `metrics`. Raises LatexifyError where an input is missing, was made from other inks, or
    leaves no sample.
    """
    manifest = _manifest(params, seed=seed, inks=inks, tokenizer=tokenizer)
    recipe = _recipe(params, seed=seed, manifest=manifest)
    with (
        draft_of(out, recipe=recipe.fingerprint) as draft,
        plan_shards(params, inks=inks, tokenizer=tokenizer, draft=draft, engine=engine) as plan,
    ):
        shards = _write_shards(plan, draft, recipe=recipe, engine=engine)
        splits = _splits(shards, plan.shards)
        index = write_index_of(draft, [shard.name for shard in shards])
        rejects = pa.Table.from_pylist([asdict(rejection) for rejection in plan.rejected], schema=REJECT_SCHEMA)
        write_parquet(draft / REJECTS_NAME, rejects)
        keep_only(draft, {INDEX_NAME, REJECTS_NAME, *(shard.name for shard in shards)})
        content = {"splits": splits, "num_rejected": len(plan.rejected), "index": asdict(index)}
        summary = _summarise(shards, splits, plan.rejected)
        write_json(metrics, summary)  # before the folder is in its place: a run that is killed then has lost nothing
        write_manifest(draft, replace(manifest, content=content))
    return summary


def _manifest(params: RasterizeParams, *, seed: int, inks: Location, tokenizer: Location) -> Manifest:
    """What is going to be made. The seed is named only where it changes something."""
    inks_manifest = read_manifest(inks, INKS)
    tokenizer_manifest = read_manifest(tokenizer, TOKENIZER)
    require_input(tokenizer_manifest, inks_manifest, where=tokenizer)
    inputs = {manifest.kind: manifest.fingerprint for manifest in (inks_manifest, tokenizer_manifest)}
    shaping = params.model_dump() | ({"seed": seed} if params.variants > 1 else {})
    return Manifest(kind=SHARDS.kind, version=FORMAT_VERSION, params=shaping, inputs=inputs)


def _recipe(params: RasterizeParams, *, seed: int, manifest: Manifest) -> Recipe:
    canvas = Canvas(
        height_px=params.height_px,
        width_px=params.width_px,
        margin_px=params.margin_px,
        pen_width_px=params.pen_width_px,
        max_stroke_px=params.max_stroke_px,
    )
    replace(canvas, pen_width_px=params.widest_pen_px)  # refuse now what a worker would
    return Recipe(
        artifact=manifest.fingerprint,
        canvas=canvas,
        variation=Variation(strength=params.variation, stroke_dropout=params.stroke_dropout, seed=seed),
        versions=versions(),
    )


def _write_shards(plan: ShardPlan, draft: Location, *, recipe: Recipe, engine: Engine) -> list[ShardRecord]:
    """Write the shards that are not there yet; returns every one, in the order of the plan."""
    shards: dict[int, ShardRecord] = {}
    with Progress("rasterize", total=sum(map(len, plan.shards)), unit="samples") as progress:
        for place, shard in engine.run(_look_calls(plan, draft, recipe=recipe), in_order=False):
            if shard is not None:
                shards[place] = shard
                progress.advance(shard.num_samples)
        if shards:
            progress.message(f"rasterize: going on; {len(shards)} of {len(plan.shards)} shards are there")
        missing = [place for place in range(len(plan.shards)) if place not in shards]
        for place, shard in engine.run(_draw_calls(plan, missing, draft, recipe=recipe), in_order=False):
            shards[place] = shard
            progress.advance(shard.num_samples)
    return [shards[place] for place in range(len(plan.shards))]


def _look_calls(plan: ShardPlan, draft: Location, *, recipe: Recipe) -> Iterator[Call]:
    """Looks for the shards that an interrupted run left; hashing them takes long enough to do it in parallel."""
    noted = recorded_shards(draft)
    for place, shard in enumerate(plan.shards):
        if (name := shard_name(shard.split, shard.number)) in noted:
            yield joblib.delayed(look_for_shard)(place, name, draft=draft, recipe=recipe)


def _draw_calls(plan: ShardPlan, missing: list[int], draft: Location, *, recipe: Recipe) -> Iterator[Call]:
    for place in missing:
        shard = plan.shards[place]
        task = ShardTask(split=shard.split, number=shard.number, inks=plan.inks(shard.rows), variants=shard.variants)
        yield joblib.delayed(render_shard)(place, task, draft=draft, recipe=recipe)


def _splits(shards: list[ShardRecord], planned: list[ShardRows]) -> dict[str, Any]:
    """What the manifest says of the splits; one without samples is listed too, without shards."""
    splits: dict[str, Any] = {split: {"num_samples": 0, "shards": []} for split in SPLITS}
    for shard, rows in zip(shards, planned, strict=True):
        entry = splits[rows.split]
        entry["num_samples"] += shard.num_samples
        entry["shards"].append(
            {
                "name": shard.name,
                "num_samples": shard.num_samples,
                "num_bytes": shard.num_bytes,
                "sha256": shard.sha256,
            }
        )
    return splits


def _summarise(shards: list[ShardRecord], splits: dict[str, Any], rejected: list[Rejection]) -> dict[str, Any]:
    """The numbers of ``metrics/rasterize.json``: counts of samples, shards, bytes and rejections, mean tokens."""
    return {
        "samples": {split: entry["num_samples"] for split, entry in splits.items()},
        "shards": {split: len(entry["shards"]) for split, entry in splits.items()},
        "num_bytes": sum(shard["num_bytes"] for entry in splits.values() for shard in entry["shards"]),
        "mean_tokens": sum(shard.num_tokens for shard in shards) / sum(shard.num_samples for shard in shards),
        "rejected": dict(sorted(Counter(str(rejection.reason) for rejection in rejected).items())),
    }
