"""Render one shard: the work of one worker of the rasterize stage.

Apart from `pipeline.rasterize`, so that workers do not wait for the import of transformers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.draw import Canvas, draw_inks, encode_png
from shards.errors import LatexifyError
from shards.sample import EncodedSample
from shards.writer import WrittenShard, write_shard

SCRATCH_NAME = "inks.arrow"
"""In the draft folder: all inks in one uncompressed Arrow file of `INK_SCHEMA`."""

DRAWN_AT_ONCE = 32
"""Inks are placed on the canvas in batches: enough that NumPy's calls cost little, few enough to stay in the cache."""

DESCRIBED = ("label", "normalized_label", "writer", "source", "num_strokes")
"""Columns that go into a sample's JSON as they are."""


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
    for first in range(0, len(task.rows), DRAWN_AT_ONCE):
        rows = task.rows[first : first + DRAWN_AT_ONCE]
        numbers = np.searchsorted(starts, rows, side="right") - 1
        inks = [batches[number].slice(row - starts[number], 1) for row, number in zip(rows, numbers, strict=True)]
        yield from _draw_together(inks, task.token_ids[first : first + DRAWN_AT_ONCE], canvas=canvas)


def _draw_together(
    inks: list[pa.RecordBatch], token_ids: list[npt.NDArray[np.int32]], *, canvas: Canvas
) -> Iterator[EncodedSample]:
    """Draw the one ink of each record batch."""
    points = [ink["points"].flatten().to_numpy().reshape(-1, 2) for ink in inks]
    stroke_lengths = [ink["stroke_lengths"].flatten().to_numpy() for ink in inks]
    num_strokes = np.array([len(lengths) for lengths in stroke_lengths])
    pictures = draw_inks(np.concatenate(points), np.concatenate(stroke_lengths), num_strokes, canvas)
    for ink, own_points, own_ids in zip(inks, points, token_ids, strict=True):
        description = {name: ink[name][0].as_py() for name in DESCRIBED}
        key = ink["key"][0].as_py()
        try:
            png = encode_png(next(pictures))
        except LatexifyError as error:
            raise LatexifyError(f"ink {key!r}: {error}: run `latexify ingest` again") from None
        # float32 is exact in float64, so the difference of the ends is that of all points
        description["extent"] = (own_points.max(axis=0).astype(np.float64) - own_points.min(axis=0)).tolist()
        label = description["normalized_label"]
        yield EncodedSample(key=key, label=label, png=png, token_ids=own_ids, description=description)
