"""Rasterize: rows of strokes to shards of pictures, in parallel.

The main process only plans: it encodes the labels, decides which samples stand in which shard, and collects the rows of
the index. Workers map the inks into memory, draw and encode their shard's samples, write the shard, and return its rows
and hash. So memory stays flat, and no shard's bytes depend on how many workers there were or who came first.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.config import RasterizeParams
from pipeline.draw import Canvas
from pipeline.engine import Engine
from pipeline.ink import INK_SCHEMA, REJECT_SCHEMA, SPLITS, Reason, Rejection
from pipeline.label_tokenizer import encode_labels, load_tokenizer
from pipeline.render import SCRATCH_NAME, ShardTask, render_shard
from shards.draft import draft_of
from shards.errors import LatexifyError
from shards.files import write_json, write_parquet
from shards.index import KIND, write_index
from shards.manifest import Manifest, read_manifest, require_input, write_manifest
from shards.place import is_local
from shards.progress import Progress
from shards.writer import WrittenShard

FORMAT_VERSION = 2
_ENCODE_BATCH = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class _Catalogue:
    """What the plan needs of every ink, in the order of the scratch file."""

    keys: list[str]
    splits: list[str]
    sources: list[str]
    token_ids: list[npt.NDArray[np.int32]]


def run(  # noqa: PLR0913  # the contract of every stage: parameters, inputs, outputs, and how to run
    params: RasterizeParams, *, inks: Path, tokenizer: Path, out: Path, metrics: Path, engine: Engine
) -> dict[str, Any]:
    """Draw every ink of the folder `inks` and write the shard folder `out`; see docs/shards.md for its format.

    engine: where the drawing runs; it changes no byte. Returns what it writes to `metrics`. Raises LatexifyError
    where an input is missing, was made from other inks, or leaves no sample.
    """
    canvas = _canvas(params)
    inks_manifest = read_manifest(inks, "inks", made_by="latexify ingest")
    tokenizer_manifest = read_manifest(tokenizer, "tokenizer", made_by="latexify vocab")
    require_input(tokenizer_manifest, inks_manifest, where=tokenizer, made_by="latexify vocab")
    inputs = {manifest.kind: manifest.fingerprint for manifest in (inks_manifest, tokenizer_manifest)}
    recipe = Manifest(kind=KIND, version=FORMAT_VERSION, params=params.model_dump(), inputs=inputs)
    with draft_of(out, recipe=recipe.fingerprint) as draft:
        assert is_local(draft), "`out` is a local folder"
        catalogue = _copy_inks(inks, draft / SCRATCH_NAME, tokenizer=tokenizer)
        order, rejected = _order_samples(catalogue, max_tokens=params.max_tokens)
        tasks = list(_tasks(order, catalogue, samples_per_shard=params.samples_per_shard))
        if not tasks:
            raise LatexifyError(f"{inks} leaves nothing to draw: {len(rejected)} labels are too long, no other inks")
        shards = _write_shards(tasks, draft, canvas=canvas, engine=engine)
        (draft / SCRATCH_NAME).unlink()
        write_index(draft, [shard.rows for shard in shards])
        rejects = pa.Table.from_pylist([asdict(rejection) for rejection in rejected], schema=REJECT_SCHEMA)
        write_parquet(draft / "rejects.parquet", rejects)
        splits = _splits(shards, tasks)
        write_manifest(draft, replace(recipe, content={"splits": splits, "num_rejected": len(rejected)}))
    summary = _summarise(shards, splits, rejected)
    write_json(metrics, summary)
    return summary


def _canvas(params: RasterizeParams) -> Canvas:
    return Canvas(
        height_px=params.height_px,
        width_px=params.width_px,
        margin_px=params.margin_px,
        pen_width_px=params.pen_width_px,
    )


def _copy_inks(inks: Path, scratch: Path, *, tokenizer: Path) -> _Catalogue:
    """Copy the Parquet parts into one uncompressed Arrow file, and encode their labels on the way.

    A shard's samples come from all over the parts: from a mapped file each worker takes its own rows without decoding
    the others.
    """
    model = load_tokenizer(tokenizer)
    parts = sorted(inks.glob("part-*.parquet"))
    num_inks = sum(pq.read_metadata(part).num_rows for part in parts)
    catalogue = _Catalogue(keys=[], splits=[], sources=[], token_ids=[])
    with (
        Progress("rasterize: encode labels", total=num_inks, unit="inks") as progress,
        pa.OSFile(str(scratch), "wb") as file,
        pa.ipc.new_file(file, INK_SCHEMA) as writer,
    ):
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(batch_size=_ENCODE_BATCH):
                writer.write_batch(batch.cast(INK_SCHEMA))
                catalogue.keys.extend(batch["key"].to_pylist())
                catalogue.splits.extend(batch["split"].to_pylist())
                catalogue.sources.extend(batch["source"].to_pylist())
                catalogue.token_ids.extend(encode_labels(model, batch["normalized_label"].to_pylist()))
                progress.advance(len(batch))
    return catalogue


def _order_samples(catalogue: _Catalogue, *, max_tokens: int) -> tuple[dict[str, list[int]], list[Rejection]]:
    """Rows of each split in the order of their shards, and the training inks whose labels are too long.

    Evaluation splits stand in the order of their keys, so that a person finds a sample; training in the order of the
    keys' hashes, so that every shard holds a mixture of all sources and writers.
    """
    order: dict[str, list[int]] = {split: [] for split in SPLITS}
    rejected = []
    for row, (key, split) in enumerate(zip(catalogue.keys, catalogue.splits, strict=True)):
        if split not in order:
            raise LatexifyError(f"ink {key!r} is of split {split!r}, known are {', '.join(SPLITS)}: run ingest again")
        num_tokens = len(catalogue.token_ids[row])
        if split == "train" and num_tokens > max_tokens:
            detail = f"{num_tokens} tokens, at most {max_tokens} (rasterize.max_tokens)"
            rejection = Rejection(key=key, source=catalogue.sources[row], reason=Reason.LONG_LABEL, detail=detail)
            rejected.append(rejection)
        else:
            order[split].append(row)
    for split, rows in order.items():
        rows.sort(key=lambda row: _place(catalogue.keys[row], mixed=split == "train"))
    return order, sorted(rejected, key=lambda rejection: rejection.key)


def _place(key: str, *, mixed: bool) -> bytes:
    name = key.encode()
    return hashlib.blake2b(name, digest_size=16).digest() if mixed else name


def _tasks(order: dict[str, list[int]], catalogue: _Catalogue, *, samples_per_shard: int) -> Iterator[ShardTask]:
    for split, rows in order.items():
        for number, start in enumerate(range(0, len(rows), samples_per_shard)):
            chosen = rows[start : start + samples_per_shard]
            yield ShardTask(
                split=split,
                number=number,
                rows=np.array(chosen, dtype=np.int64),
                token_ids=[catalogue.token_ids[row] for row in chosen],
            )


def _write_shards(tasks: list[ShardTask], draft: Path, *, canvas: Canvas, engine: Engine) -> list[WrittenShard]:
    """Write all shards in parallel; returns them in the order of the tasks."""
    num_inks = sum(len(task.rows) for task in tasks)
    calls = (joblib.delayed(render_shard)(place, task, draft=draft, canvas=canvas) for place, task in enumerate(tasks))
    written: dict[int, WrittenShard] = {}
    with Progress("rasterize", total=num_inks, unit="inks") as progress:
        for place, shard in engine.run(calls, in_order=False):
            written[place] = shard
            progress.advance(shard.num_samples)
    return [written[place] for place in range(len(tasks))]


def _splits(shards: list[WrittenShard], tasks: list[ShardTask]) -> dict[str, Any]:
    """What the manifest says of the splits; one without samples is listed too, without shards."""
    splits: dict[str, Any] = {split: {"num_samples": 0, "shards": []} for split in SPLITS}
    for shard, task in zip(shards, tasks, strict=True):
        entry = splits[task.split]
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


def _summarise(shards: list[WrittenShard], splits: dict[str, Any], rejected: list[Rejection]) -> dict[str, Any]:
    """The numbers of ``metrics/rasterize.json``: counts of samples, shards, bytes and rejections, mean tokens."""
    num_tokens = pc.sum(pa.chunked_array([chunk for shard in shards for chunk in shard.rows["num_tokens"].chunks]))
    num_samples = sum(shard.num_samples for shard in shards)
    return {
        "samples": {split: entry["num_samples"] for split, entry in splits.items()},
        "shards": {split: len(entry["shards"]) for split, entry in splits.items()},
        "num_bytes": sum(shard.num_bytes for shard in shards),
        "mean_tokens": num_tokens.as_py() / num_samples,
        "rejected": dict(sorted(Counter(str(rejection.reason) for rejection in rejected).items())),
    }
