"""Inks in Parquet: an inks folder or one of its parts."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.files import open_parquet
from latexify.artifacts.location import Location
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inks.table import inks_of, read_inks_manifest
from latexify.pipeline.inspect.entry import Entry, Picture, num_latex_tokens

_FACTS = ["key", "source", "split", "normalized_label", "points", "num_strokes", "num_points"]


class InkCollection:
    """Inks of Parquet files, in their order."""

    def __init__(self, parts: Sequence[Location], *, title: str) -> None:
        self._parts = parts
        self.entries = [entry for batch in _batches(parts, columns=_FACTS) for entry in _entries_of(batch)]
        self.title = f"{title}: {len(self.entries):,} inks in {len(parts)} Parquet files"

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:
        """Draw the inks; their rows are read again, for their points were not kept."""
        wanted = pa.array([entry.key for entry in entries], pa.string())
        drawn: dict[str, Picture] = {}
        for batch in _batches(self._parts, columns=None):
            for ink in inks_of(batch.filter(pc.is_in(batch["key"], wanted))):
                drawn[ink.key] = draw_ink(ink.strokes, canvas)
        return [drawn.get(entry.key) for entry in entries]


def open_inks(folder: Location) -> InkCollection:
    """A whole inks folder. Raises LatexifyError where it is not whole."""
    parts = read_inks_manifest(folder).content["parts"]
    return InkCollection([folder / part["name"] for part in parts], title=f"{folder}: inks")


def _batches(parts: Sequence[Location], *, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    for part in parts:
        with open_parquet(part) as file:
            yield from file.iter_batches(batch_size=4096, columns=columns)


def _entries_of(batch: pa.RecordBatch) -> Iterator[Entry]:
    texts = batch.drop_columns(["points"]).to_pylist()
    for text, (width, height) in zip(texts, _extents(batch["points"]), strict=True):
        label = text.pop("normalized_label")
        yield Entry(label=label, num_tokens=num_latex_tokens(label), extent=(width, height), **text)


def _extents(column: pa.ListArray) -> list[list[float]]:
    """Width and height of each ink; all have at least one point."""
    if len(column) == 0:
        return []
    points = column.flatten().to_numpy().reshape(-1, 2)
    starts = (column.offsets.to_numpy()[:-1] - column.offsets[0].as_py()) // 2
    low = np.minimum.reduceat(points, starts, axis=0)
    sides: list[list[float]] = (np.maximum.reduceat(points, starts, axis=0) - low).tolist()
    return sides
