"""Render one shard: the work of one worker of the rasterize stage.

Apart from `pipeline.rasterize`, so that workers do not wait for the import of transformers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.draw import Canvas, draw_points, encode_png
from shards.errors import LatexifyError
from shards.sample import EncodedSample
from shards.writer import WrittenShard, write_shard

SCRATCH_NAME = "inks.arrow"
"""In the draft folder: all inks in one uncompressed Arrow file of `INK_SCHEMA`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTask:
    """One shard to write: the rows of the scratch file that it holds, in order, and their token ids."""

    split: str
    number: int
    rows: npt.NDArray[np.int64]
    token_ids: list[npt.NDArray[np.int32]]


def render_shard(place: int, task: ShardTask, *, draft: Path, canvas: Canvas) -> tuple[int, WrittenShard]:
    """Draw and write one shard (in a worker); `place` is handed back, to tell the results apart."""
    with pa.memory_map(str(draft / SCRATCH_NAME)) as mapped:
        samples = _draw_samples(pa.ipc.open_file(mapped), task, canvas=canvas)
        return place, write_shard(draft, split=task.split, number=task.number, samples=samples)


def _draw_samples(reader: pa.ipc.RecordBatchFileReader, task: ShardTask, *, canvas: Canvas) -> Iterator[EncodedSample]:
    batches = [reader.get_batch(number) for number in range(reader.num_record_batches)]
    starts = np.cumsum([0] + [len(batch) for batch in batches])
    for row, token_ids in zip(task.rows, task.token_ids, strict=True):
        number = int(np.searchsorted(starts, row, side="right")) - 1
        yield _draw_sample(batches[number].slice(int(row - starts[number]), 1), token_ids, canvas=canvas)


def _draw_sample(ink: pa.RecordBatch, token_ids: npt.NDArray[np.int32], *, canvas: Canvas) -> EncodedSample:
    """Draw the one ink of a record batch."""
    points = ink["points"].flatten().to_numpy().reshape(-1, 2)
    key = ink["key"][0].as_py()
    try:
        pixels = draw_points(points, ink["stroke_lengths"].flatten().to_numpy(), canvas)
    except LatexifyError as error:
        raise LatexifyError(f"ink {key!r}: {error}: run `latexify ingest` again") from None
    normalized_label = ink["normalized_label"][0].as_py()
    description = {
        "label": ink["label"][0].as_py(),
        "normalized_label": normalized_label,
        "writer": ink["writer"][0].as_py(),
        "source": ink["source"][0].as_py(),
        "num_strokes": ink["num_strokes"][0].as_py(),
        "extent": np.ptp(points.astype(np.float64), axis=0).tolist(),
    }
    return EncodedSample(
        key=key, label=normalized_label, png=encode_png(pixels), token_ids=token_ids, description=description
    )
