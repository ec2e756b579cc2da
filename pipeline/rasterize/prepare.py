"""A part of the inks folder, made ready to be drawn: what the workers of rasterize do before there are shards."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.files import open_parquet
from latexify.artifacts.location import Location
from latexify.pipeline.inks.ink import INK_SCHEMA, Reason, Rejection
from latexify.pipeline.rasterize.sample_order import SampleKeys, keys_of_samples
from latexify.pipeline.rasterize.scratch import Piece, append_inks
from latexify.pipeline.vocab.encoder import LabelEncoder

_BATCH_INKS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How parts are prepared. max_tokens, variants: as in `RasterizeParams`."""

    encoder: LabelEncoder
    max_tokens: int
    variants: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedPart:
    """What became of a part. num_inks: that it had. batches: of those that remain, where they lie and their keys."""

    num_inks: int
    batches: list[tuple[Piece, SampleKeys]]
    rejected: list[Rejection]


def prepare_part(part: Location, preparation: Preparation, *, folder: Path) -> PreparedPart:
    """Copy the inks of a Parquet part into a file of `folder`, with the ids of their labels (in a worker).

    Raises LatexifyError where an ink does not keep the contract of `INK_SCHEMA`.
    """
    path = folder / part.name
    with path.open("wb") as file:
        return prepare_part_into(file, part, preparation, path=path)


def prepare_part_into(file: BinaryIO, part: Location, preparation: Preparation, *, path: Path | None) -> PreparedPart:
    """:func:`prepare_part` into an open scratch file; path: its name, where it has one."""
    num_inks = 0
    batches: list[tuple[Piece, SampleKeys]] = []
    rejected: list[Rejection] = []
    for batch in _read_part(part):
        num_inks += len(batch)
        token_ids = preparation.encoder.encode(batch["normalized_label"].to_pylist())
        lengths = np.diff(token_ids.offsets.to_numpy())
        is_train = pc.equal(batch["split"], "train").to_numpy(zero_copy_only=False)
        too_long = is_train & (lengths > preparation.max_tokens)
        if too_long.any():
            rejected += _reject(batch.filter(pa.array(too_long)), lengths[too_long], max_tokens=preparation.max_tokens)
            batch, token_ids = batch.filter(pa.array(~too_long)), token_ids.filter(pa.array(~too_long))  # noqa: PLW2901
        if len(batch):
            keys = keys_of_samples(batch, variants=preparation.variants)
            batches.append((append_inks(file, batch, token_ids, path=path), keys))
    return PreparedPart(num_inks=num_inks, batches=batches, rejected=rejected)


def _read_part(part: Location) -> Iterator[pa.RecordBatch]:
    with open_parquet(part) as file:
        for batch in file.iter_batches(batch_size=_BATCH_INKS):
            yield batch.cast(INK_SCHEMA)
            pa.default_memory_pool().release_unused()  # Arrow would keep what decoding took


def _reject(inks: pa.RecordBatch, num_tokens: npt.NDArray[np.int32], *, max_tokens: int) -> Iterator[Rejection]:
    for key, source, count in zip(inks["key"].to_pylist(), inks["source"].to_pylist(), num_tokens, strict=True):
        detail = f"{count} tokens, at most {max_tokens} (rasterize.max_tokens)"
        yield Rejection(key=key, source=source, reason=Reason.LONG_LABEL, detail=detail)
