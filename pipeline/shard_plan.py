"""The plan of a shard folder: labels encoded, samples put in order, inks at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import RasterizeParams
from pipeline.ink import INK_SCHEMA, Reason, Rejection
from pipeline.label_tokenizer import encode_labels, load_tokenizer
from pipeline.sample_order import SampleOrder, ShardRows
from pipeline.scratch import Scratch, scratch_file
from shards.errors import LatexifyError
from shards.files import open_parquet
from shards.place import Place
from shards.progress import Progress

_BATCH_INKS = 1024


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardPlan:
    """The inks, which of them stand in which shard, and which are left out."""

    scratch: Scratch
    shards: list[ShardRows]
    rejected: list[Rejection]


@contextmanager
def plan_shards(
    params: RasterizeParams, *, inks: Place, tokenizer: Place, scratch_folder: Path | None
) -> Iterator[ShardPlan]:
    """Encode the labels, copy the inks to a scratch file, and decide which sample stands where.

    scratch_folder: on a disk with room for all inks; None takes the system's temporary folder. Raises LatexifyError
    where no sample is left, or an ink does not keep the contract of `INK_SCHEMA`.
    """
    model = load_tokenizer(tokenizer)
    order = SampleOrder(variants=params.variants)
    rejected: list[Rejection] = []
    with scratch_file(scratch_folder) as writer:
        for batch in _read_inks(inks):
            token_ids = encode_labels(model, batch["normalized_label"].to_pylist())
            lengths = np.array([len(ids) for ids in token_ids])
            too_long = pc.equal(batch["split"], "train").to_numpy(zero_copy_only=False) & (lengths > params.max_tokens)
            rejected.extend(_reject(batch.filter(pa.array(too_long)), lengths[too_long], max_tokens=params.max_tokens))
            kept = batch.filter(pa.array(~too_long))
            order.add(kept, first_row=writer.num_inks)
            writer.append(kept, [ids for ids, left_out in zip(token_ids, too_long, strict=True) if not left_out])
        shards = order.shards(samples_per_shard=params.samples_per_shard)
        if not shards:
            raise LatexifyError(f"{inks} leaves nothing to draw: {len(rejected)} labels are too long, no other inks")
        rejected.sort(key=lambda rejection: rejection.key)
        scratch = writer.finish()
        if (row := order.repeated_row()) is not None:
            key = scratch.take(np.array([row]))["key"][0].as_py()
            raise LatexifyError(f"{inks} has more than one ink {key!r}: run `latexify ingest` again")
        yield ShardPlan(scratch=scratch, shards=shards, rejected=rejected)


def _read_inks(inks: Place) -> Iterator[pa.RecordBatch]:
    parts: list[Place] = sorted(inks.glob("part-*.parquet"), key=str)
    num_inks = 0
    for part in parts:
        with open_parquet(part) as file:
            num_inks += file.metadata.num_rows
    with Progress("rasterize: encode labels", total=num_inks, unit="inks") as progress:
        for part in parts:
            with open_parquet(part) as file:
                for batch in file.iter_batches(batch_size=_BATCH_INKS):
                    yield batch.cast(INK_SCHEMA)
                    pa.default_memory_pool().release_unused()  # Arrow would keep what decoding took
                    progress.advance(len(batch))


def _reject(inks: pa.RecordBatch, num_tokens: npt.NDArray[np.intp], *, max_tokens: int) -> Iterator[Rejection]:
    for key, source, count in zip(inks["key"].to_pylist(), inks["source"].to_pylist(), num_tokens, strict=True):
        detail = f"{count} tokens, at most {max_tokens} (rasterize.max_tokens)"
        yield Rejection(key=key, source=source, reason=Reason.LONG_LABEL, detail=detail)
