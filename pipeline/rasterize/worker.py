"""Draw and write one shard: the work of one worker of the rasterize stage, on this machine or another.

Separate from `latexify.pipeline.rasterize.stage` so that workers do not import transformers.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.draft import require_draft
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import canonical_json
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas, Pixels, Scales, draw_coverage, encode_coverage
from latexify.pipeline.drawing.pictures import fit_picture
from latexify.pipeline.engine.versions import differences, versions
from latexify.pipeline.inks.ink import CroppedPicture, dataset_of
from latexify.pipeline.rasterize.prepare import PICTURE, STROKE_SCALE, ScratchRows
from latexify.pipeline.rasterize.variants import Variation, VariedInk, variant_key, vary_ink
from latexify.shards.format.index import index_schema
from latexify.shards.format.png import png_size
from latexify.shards.format.record import find_finished, write_record
from latexify.shards.format.sample import EncodedSample
from latexify.shards.format.writer import ShardRecord, write_shard

# inks drawn in one batch: enough that NumPy's calls cost little, few enough to stay in the processor's cache
DRAWN_AT_ONCE = 64
DESCRIBED = ("label", "normalized_label", "writer", "source", "num_strokes")  # columns copied into a sample's JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """Everything that decides the bytes of a shard besides its inks."""

    artifact: str  # fingerprint of the shard folder that is being made
    canvas: Canvas
    variation: Variation
    versions: Mapping[str, str]  # of code and libraries, see `latexify.pipeline.engine.versions`
    datasets: Sequence[str] = ()  # names, if there are several

    @property
    def build_key(self) -> str:
        """Hash that tells apart drafts which must not be mixed."""
        return hashlib.sha256(canonical_json([self.artifact, dict(self.versions)]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardTask:
    """One shard to write."""

    split: str
    number: int  # in its split
    inks: pa.RecordBatch | ScratchRows  # `SCRATCH_SCHEMA` in the shard's order, or positions in scratch files here
    variants: npt.NDArray[np.int32]  # of each ink to draw, [n]


def draw_shard(index: int, task: ShardTask, *, draft: Location, settings: RenderSettings) -> tuple[int, ShardRecord]:
    """Draw and write one shard and its record (runs in a worker); `index` is returned to tell the results apart.

    Raises LatexifyError if `draft` cannot be read from here or belongs to another run, if this machine has other code
    or libraries than the main process, or if an ink cannot be drawn.
    """
    if unlike := differences(settings.versions, versions()):
        raise LatexifyError(
            f"a worker has {', '.join(unlike)}: install the same on every machine, as requirements.lock says"
        )
    require_draft(draft, build_key=settings.build_key)
    record, rows = write_shard(
        draft,
        split=task.split,
        number=task.number,
        samples=_samples(task, draft, settings),
        schema=index_schema(asdict(settings.canvas), with_datasets=bool(settings.datasets)),
    )
    write_record(draft, record, rows, build_key=settings.build_key)
    return index, record


def find_shard(index: int, name: str, *, draft: Location, settings: RenderSettings) -> tuple[int, ShardRecord | None]:
    """Return the record of the shard `name` if an interrupted run finished it (runs in a worker)."""
    return index, find_finished(draft, name, build_key=settings.build_key)


def _samples(task: ShardTask, draft: Location, settings: RenderSettings) -> Iterator[EncodedSample]:
    inks = task.inks.load() if isinstance(task.inks, ScratchRows) else task.inks
    for first in range(0, len(task.variants), DRAWN_AT_ONCE):
        variants = task.variants[first : first + DRAWN_AT_ONCE].tolist()
        yield from _draw_together(inks.slice(first, DRAWN_AT_ONCE), variants, settings)
    # a worker that outlived its killed run must not put its shard among those of the next
    require_draft(draft, build_key=settings.build_key)


def _draw_together(inks: pa.RecordBatch, variants: list[int], settings: RenderSettings) -> Iterator[EncodedSample]:
    keys = [variant_key(key, variant) for key, variant in zip(inks["key"].to_pylist(), variants, strict=True)]
    pictures = _pictures(inks, keys, variants, settings)
    descriptions = inks.select(DESCRIBED).to_pylist()
    pngs = []  # all of them first, because interleaving drawing with the rest would thrash the processor's caches
    for key in keys:
        with _naming(key):
            pngs.append(encode_coverage(next(pictures)))
    extents, token_ids = extents_of(inks), _lists(inks["token_ids"])
    facts = zip(keys, pngs, variants, descriptions, extents, token_ids, strict=True)
    for key, png, variant, description, extent, ids in facts:
        # no null: libraries that infer types from the first samples could not read the others
        description |= {"writer": description["writer"] or "", "extent": extent, "variant": variant}
        label = description["normalized_label"]
        dataset = _dataset(key, settings.datasets)
        if dataset is not None:
            description["dataset"] = dataset
        yield EncodedSample(key=key, label=label, png=png, token_ids=ids, description=description, dataset=dataset)


def _dataset(key: str, datasets: Sequence[str]) -> str | None:
    """Return the dataset of an ink; None if there is only one. Raises LatexifyError if it is none of `datasets`."""
    if not datasets:
        return None
    if dataset_of(key) not in datasets:
        raise LatexifyError(
            f"ink {key!r} is of none of the datasets {', '.join(datasets)}: run `latexify ingest` again"
        )
    return dataset_of(key)


def _pictures(inks: pa.RecordBatch, keys: list[str], variants: list[int], settings: RenderSettings) -> Iterator[Pixels]:
    """Yield the coverage of each row: inks are drawn together, pictures that are not traced are fitted."""
    is_ink = pc.is_null(inks[PICTURE]).to_numpy(zero_copy_only=False)
    if is_ink.all():
        yield from _draw(inks, keys, variants, settings)
        return
    drawn: Iterator[Pixels] = iter(())
    if is_ink.any():
        rows = np.flatnonzero(is_ink).tolist()
        own_keys, own_variants = [keys[row] for row in rows], [variants[row] for row in rows]
        drawn = _draw(inks.filter(pa.array(is_ink)), own_keys, own_variants, settings)
    for picture in inks[PICTURE].to_pylist():
        yield next(drawn) if picture is None else fit_picture(CroppedPicture(**picture), settings.canvas)


def _draw(inks: pa.RecordBatch, keys: list[str], variants: list[int], settings: RenderSettings) -> Iterator[Pixels]:
    stroke_scales = inks[STROKE_SCALE].to_numpy()
    if not any(variants):
        num_strokes = np.diff(inks["stroke_lengths"].offsets.to_numpy())
        points, stroke_lengths = _values(inks["points"]).reshape(-1, 2), _values(inks["stroke_lengths"])
        scales = Scales(pens=np.ones(len(inks)), strokes=stroke_scales)
        return draw_coverage(points, stroke_lengths, num_strokes, settings.canvas, scales=scales)
    varied: list[VariedInk] = []
    strokes = zip(_lists(inks["points"]), _lists(inks["stroke_lengths"]), keys, variants, strict=True)
    for coordinates, lengths, key, variant in strokes:
        ink = VariedInk(points=coordinates.reshape(-1, 2), stroke_lengths=lengths, pen_scale=1.0, stroke_scale=1.0)
        if variant:
            with _naming(key):
                ink = vary_ink(ink.points, lengths, key=key, variation=settings.variation)
        varied.append(ink)
    return draw_coverage(
        np.concatenate([ink.points for ink in varied]),
        np.concatenate([ink.stroke_lengths for ink in varied]),
        np.array([len(ink.stroke_lengths) for ink in varied]),
        settings.canvas,
        scales=Scales(
            pens=np.array([ink.pen_scale for ink in varied]),
            strokes=np.array([ink.stroke_scale for ink in varied]) * stroke_scales,
        ),
    )


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """Add the key of the ink to errors."""
    try:
        yield
    except LatexifyError as error:
        raise LatexifyError(f"ink {key!r}: {error}: run `latexify ingest` again") from None


def _lists(column: pa.ListArray) -> list[npt.NDArray[Any]]:
    """Return the rows of a list column as views."""
    values, ends = _values(column), _ends(column)
    return [values[start:end] for start, end in pairwise(ends)]


def extents_of(inks: pa.RecordBatch) -> list[list[float]]:
    """Return width and height of every row, in the units of its ink, or in pixels if it is a picture."""
    points, pictures = inks["points"], inks[PICTURE].to_pylist() if PICTURE in inks.schema.names else []
    if any(picture is not None for picture in pictures):
        extents = iter(_extents(points.filter(pc.is_null(inks[PICTURE]))))
        return [next(extents) if each is None else [*map(float, png_size(each["png"]))] for each in pictures]
    return _extents(points)


def _extents(points: pa.ListArray) -> list[list[float]]:
    """Return width and height of inks (x, y, x, y, …; at least one point each)."""
    if not len(points):
        return []
    coordinates, starts = _values(points).reshape(-1, 2), np.array(_ends(points)[:-1], np.int64) // 2
    # float32 is exact in float64, so the difference of the ends is that of all points
    widths, heights = (
        (np.maximum.reduceat(line, starts).astype(np.float64) - np.minimum.reduceat(line, starts)).tolist()
        for line in coordinates.T
    )
    return [list(extent) for extent in zip(widths, heights, strict=True)]


def _values(column: pa.ListArray) -> npt.NDArray[Any]:
    """Return the values of all rows of a list column as a view."""
    values: npt.NDArray[Any] = column.flatten().to_numpy()
    return values


def _ends(column: pa.ListArray) -> list[int]:
    """Return 0 and then the end of each row of a list column among its values."""
    offsets = column.offsets.to_numpy()
    ends: list[int] = (offsets - offsets[0]).tolist()
    return ends
