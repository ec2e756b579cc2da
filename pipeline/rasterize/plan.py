"""The plan of a shard folder: labels encoded, samples put in order, inks at hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import joblib
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.artifacts.files import open_parquet
from latexify.artifacts.location import Location, is_local
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.pipeline.config import RasterizeParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.inks.ink import Rejection
from latexify.pipeline.rasterize.prepare import Preparation, PreparedPart, prepare_part, prepare_part_into
from latexify.pipeline.rasterize.sample_order import SampleOrder, ShardRows
from latexify.pipeline.rasterize.scratch import Piece, ScratchRows, scratch_folder, unnamed_scratch
from latexify.pipeline.vocab.encoder import read_encoder


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardPlan:
    """The inks, which of them stand in which shard, and which are left out.

    starts: int64 [num_pieces + 1], the row that each piece begins with. unnamed: the scratch file that only this
    process can read; None where workers find the pieces by their paths.
    """

    pieces: list[Piece]
    starts: npt.NDArray[np.int64]
    unnamed: BinaryIO | None
    shards: list[ShardRows]
    rejected: list[Rejection]

    def inks(self, rows: npt.NDArray[np.int64]) -> ScratchRows | pa.RecordBatch:
        """The inks of these rows (at least one) for a task: where they lie, or themselves where workers cannot see."""
        found = find_rows(rows, pieces=self.pieces, starts=self.starts)
        return found if self.unnamed is None else found.load(self.unnamed)


def find_rows(rows: npt.NDArray[np.int64], *, pieces: list[Piece], starts: npt.NDArray[np.int64]) -> ScratchRows:
    """Where rows lie that are counted through all pieces; a row may occur more than once."""
    numbers = np.searchsorted(starts, rows, side="right") - 1
    needed, piece_of = np.unique(numbers, return_inverse=True)
    return ScratchRows(
        pieces=[pieces[number] for number in needed.tolist()], piece_of=piece_of, row=rows - starts[numbers]
    )


@contextmanager
def plan_shards(
    params: RasterizeParams, *, inks: Location, tokenizer: Location, draft: Location, engine: Engine
) -> Iterator[ShardPlan]:
    """Encode the labels, copy the inks to scratch files, and decide which sample stands where.

    Workers of this machine do it where the draft is on its disk; otherwise this process alone, into the draft's disk
    or the system's temporary folder. Raises LatexifyError where no sample is left, or an ink does not keep the contract
    of `INK_SCHEMA`.
    """
    preparation = Preparation(encoder=read_encoder(tokenizer), max_tokens=params.max_tokens, variants=params.variants)
    parts: list[Location] = sorted(inks.glob("part-*.parquet"), key=str)
    if is_local(draft) and engine.is_here:
        with scratch_folder(draft) as folder:
            calls = (joblib.delayed(prepare_part)(part, preparation, folder=folder) for part in parts)
            yield _plan(params, engine.run(calls, in_order=True), parts=parts, inks=inks, unnamed=None)
        return
    with unnamed_scratch(draft if is_local(draft) else None) as file:
        prepare = partial(prepare_part_into, file, preparation=preparation, path=None)
        yield _plan(params, map(prepare, parts), parts=parts, inks=inks, unnamed=file)


def _plan(
    params: RasterizeParams,
    prepared: Iterator[PreparedPart],
    *,
    parts: list[Location],
    inks: Location,
    unnamed: BinaryIO | None,
) -> ShardPlan:
    order = SampleOrder()
    pieces: list[Piece] = []
    starts = [0]
    rejected: list[Rejection] = []
    with Progress("rasterize: encode labels", total=_num_inks(parts), unit="inks") as progress:
        for part in prepared:
            for piece, keys in part.batches:
                order.add(keys, first_row=starts[-1])
                pieces.append(piece)
                starts.append(starts[-1] + piece.num_rows)
            rejected += part.rejected
            progress.advance(part.num_inks)
    first_rows = np.array(starts, dtype=np.int64)
    shards = order.shards(samples_per_shard=params.samples_per_shard)
    if not shards:
        raise LatexifyError(f"{inks} leaves nothing to draw: {len(rejected)} labels are too long, no other inks")
    rejected.sort(key=lambda rejection: rejection.key)
    if (row := order.repeated_row()) is not None:
        key = find_rows(np.array([row]), pieces=pieces, starts=first_rows).load(unnamed)["key"][0].as_py()
        raise LatexifyError(f"{inks} has more than one ink {key!r}: run `latexify ingest` again")
    return ShardPlan(pieces=pieces, starts=first_rows, unnamed=unnamed, shards=shards, rejected=rejected)


def _num_inks(parts: list[Location]) -> int:
    num_inks = 0
    for part in parts:
        with open_parquet(part) as file:
            num_inks += file.metadata.num_rows
    return num_inks
