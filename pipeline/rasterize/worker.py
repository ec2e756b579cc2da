"""Render one shard: the work of one worker of the rasterize stage, on this machine or another.

Apart from `latexify.pipeline.rasterize.stage`, so that workers do not wait for the import of transformers.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.artifacts.draft import require_draft
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import canonical_json
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas, Factors, Pixels, cover_inks, encode_coverage
from latexify.pipeline.engine.versions import differences, versions
from latexify.pipeline.rasterize.scratch import ScratchRows
from latexify.pipeline.rasterize.variants import Variation, VariedInk, variant_key, vary_ink
from latexify.shards.format.record import ShardRecord, find_finished, write_sidecar
from latexify.shards.format.sample import EncodedSample
from latexify.shards.format.writer import write_shard

DRAWN_AT_ONCE = 64
"""Inks are placed on the canvas in batches: enough that NumPy's calls cost little, few enough to stay in the cache."""

DESCRIBED = ("label", "normalized_label", "writer", "source", "num_strokes")
"""Columns that go into a sample's JSON as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that the bytes of a shard follow from, beside its inks.

    artifact: fingerprint of the shard folder that is being made. versions: of the code and libraries that make it.
    """

    artifact: str
    canvas: Canvas
    variation: Variation
    versions: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Tells drafts apart that must not be mixed."""
        return hashlib.sha256(canonical_json([self.artifact, dict(self.versions)]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardTask:
    """One shard to write.

    inks: a batch of `SCRATCH_SCHEMA` in the shard's order, or where on this machine it is to be taken from. variants:
    int32 [n], of each ink.
    """

    split: str
    number: int
    inks: pa.RecordBatch | ScratchRows
    variants: npt.NDArray[np.int32]


def render_shard(place: int, task: ShardTask, *, draft: Location, recipe: Recipe) -> tuple[int, ShardRecord]:
    """Draw and write one shard and its sidecar (in a worker); `place` is handed back, to tell the results apart.

    Raises LatexifyError where `draft` is not to be seen from here or belongs to another run, where this machine has
    other code or libraries than the main process, or where an ink cannot be drawn.
    """
    if wrong := differences(recipe.versions, versions()):
        raise LatexifyError(
            f"a worker has {', '.join(wrong)}: install the same on every machine, as requirements.lock says"
        )
    require_draft(draft, recipe=recipe.fingerprint)
    shard = write_shard(draft, split=task.split, number=task.number, samples=_samples(task, draft=draft, recipe=recipe))
    return place, write_sidecar(draft, shard, recipe=recipe.fingerprint)


def look_for_shard(place: int, name: str, *, draft: Location, recipe: Recipe) -> tuple[int, ShardRecord | None]:
    """What is known of the shard `name` if an interrupted run finished it (in a worker); see :func:`render_shard`."""
    return place, find_finished(draft, name, recipe=recipe.fingerprint)


def _samples(task: ShardTask, *, draft: Location, recipe: Recipe) -> Iterator[EncodedSample]:
    inks = task.inks.load() if isinstance(task.inks, ScratchRows) else task.inks
    for first in range(0, len(task.variants), DRAWN_AT_ONCE):
        variants = task.variants[first : first + DRAWN_AT_ONCE].tolist()
        yield from _draw_together(inks.slice(first, DRAWN_AT_ONCE), variants, recipe=recipe)
    # a worker that outlived its killed run must not put its shard among those of the next
    require_draft(draft, recipe=recipe.fingerprint)


def _draw_together(inks: pa.RecordBatch, variants: list[int], *, recipe: Recipe) -> Iterator[EncodedSample]:
    keys = [variant_key(key, variant) for key, variant in zip(inks["key"].to_pylist(), variants, strict=True)]
    pictures = _draw(inks, keys, variants, recipe=recipe)
    descriptions = inks.select(DESCRIBED).to_pylist()
    pngs = []  # all of them first: what comes after would push the drawing out of the processor's caches, and be pushed
    for key in keys:
        with _naming(key):
            pngs.append(encode_coverage(next(pictures)))
    facts = zip(keys, pngs, variants, descriptions, _extents(inks["points"]), _lists(inks["token_ids"]), strict=True)
    for key, png, variant, description, extent, token_ids in facts:
        description |= {"extent": extent, "variant": variant}
        label = description["normalized_label"]
        yield EncodedSample(key=key, label=label, png=png, token_ids=token_ids, description=description)


def _draw(inks: pa.RecordBatch, keys: list[str], variants: list[int], *, recipe: Recipe) -> Iterator[Pixels]:
    if not any(variants):
        num_strokes = np.diff(inks["stroke_lengths"].offsets.to_numpy())
        points, stroke_lengths = _values(inks["points"]).reshape(-1, 2), _values(inks["stroke_lengths"])
        return cover_inks(points, stroke_lengths, num_strokes, recipe.canvas)
    strokes = zip(_lists(inks["points"]), _lists(inks["stroke_lengths"]), keys, variants, strict=True)
    written = [_write(*ink, variation=recipe.variation) for ink in strokes]
    return cover_inks(
        np.concatenate([ink.points for ink in written]),
        np.concatenate([ink.stroke_lengths for ink in written]),
        np.array([len(ink.stroke_lengths) for ink in written]),
        recipe.canvas,
        factors=Factors(
            pens=np.array([ink.pen_scale for ink in written]), strokes=np.array([ink.stroke_scale for ink in written])
        ),
    )


def _write(
    coordinates: npt.NDArray[np.float32],
    stroke_lengths: npt.NDArray[np.int32],
    key: str,
    variant: int,
    *,
    variation: Variation,
) -> VariedInk:
    points = coordinates.reshape(-1, 2)
    if variant == 0:
        return VariedInk(points=points, stroke_lengths=stroke_lengths, pen_scale=1.0, stroke_scale=1.0)
    with _naming(key):
        return vary_ink(points, stroke_lengths, key=key, variation=variation)


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """Say which ink it is that cannot be drawn."""
    try:
        yield
    except LatexifyError as error:
        raise LatexifyError(f"ink {key!r}: {error}: run `latexify ingest` again") from None


def _lists(column: pa.ListArray) -> list[npt.NDArray[Any]]:
    """The rows of a list column, without copying them."""
    values, ends = _values(column), _ends(column)
    return [values[start:end] for start, end in pairwise(ends)]


def _extents(points: pa.ListArray) -> list[list[float]]:
    """Width and height of every ink (x, y, x, y, … each, at least one point), in its own units."""
    coordinates, starts = _values(points).reshape(-1, 2), np.array(_ends(points)[:-1]) // 2
    # float32 is exact in float64, so the difference of the ends is that of all points
    widths, heights = (
        (np.maximum.reduceat(line, starts).astype(np.float64) - np.minimum.reduceat(line, starts)).tolist()
        for line in coordinates.T
    )
    return [list(extent) for extent in zip(widths, heights, strict=True)]


def _values(column: pa.ListArray) -> npt.NDArray[Any]:
    """The values of all rows of a list column, without copying them."""
    values: npt.NDArray[Any] = column.flatten().to_numpy()
    return values


def _ends(column: pa.ListArray) -> list[int]:
    """Where the rows of a list column end among its values; a 0 before the first."""
    offsets = column.offsets.to_numpy()
    ends: list[int] = (offsets - offsets[0]).tolist()
    return ends
