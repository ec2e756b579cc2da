"""Plan a shard folder: encode the labels, make the inks readable at random, and assign samples to shards."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

import joblib
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.files import open_parquet
from latexify.artifacts.location import Location, is_local
from latexify.artifacts.names import INKS
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.pipeline.config import RasterizeParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.inks.ink import SPLITS, Rejection
from latexify.pipeline.inks.table import read_inks_manifest
from latexify.pipeline.rasterize.prepare import (
    SAMPLE,
    EncodedPart,
    Piece,
    Rows,
    Samples,
    ScratchRows,
    encode_part,
    encode_part_into,
    scratch_folder,
)
from latexify.pipeline.vocab.encoder import read_encoder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardRows:
    """The samples of one shard in order: `rows` among all pieces, int64 [n], and `variants`, int32 [n] (0 is plain)."""

    split: str
    number: int
    rows: Rows
    variants: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardPlan:
    """The inks, the shards to write, and the inks that are left out."""

    pieces: list[Piece]  # where the inks are
    starts: Rows  # row with which each piece begins, [num_pieces + 1]
    unnamed: BinaryIO | None  # the scratch file that only this process can read; None if workers open the pieces
    shards: list[ShardRows]
    rejected: list[Rejection]

    def inks(self, rows: Rows) -> ScratchRows | pa.RecordBatch:
        """Return the inks of these rows (at least one) for a task, or their positions if workers can read them."""
        positions = find_rows(rows, pieces=self.pieces, starts=self.starts)
        return positions if self.unnamed is None else positions.load(self.unnamed)


def find_rows(rows: Rows, *, pieces: list[Piece], starts: Rows) -> ScratchRows:
    """Return the positions of rows that are counted through all pieces; a row may occur more than once."""
    piece_ids = np.searchsorted(starts, rows, side="right") - 1
    needed, inverse = np.unique(piece_ids, return_inverse=True)
    needed_pieces = [pieces[piece_id] for piece_id in needed.tolist()]
    return ScratchRows(pieces=needed_pieces, piece_ids=inverse, rows=rows - starts[piece_ids])


@contextmanager
def plan_shards(
    params: RasterizeParams, *, inks: Location, tokenizer: Location, draft: Location, engine: Engine
) -> Iterator[ShardPlan]:
    """Encode the labels, copy the inks to scratch files, and assign the samples to shards.

    If the draft is on this machine's disk and the workers are on this machine, they do it. Otherwise this process does
    it alone, into a file on the draft's disk or in the system's temporary folder. Raises LatexifyError if no sample is
    left, two inks have the same key, or an ink violates `INK_SCHEMA`.
    """
    encoder = read_encoder(tokenizer)
    parts = [inks / part["name"] for part in read_inks_manifest(inks).content["parts"]]
    if is_local(draft) and engine.is_here:
        with scratch_folder(draft) as folder:
            calls = (joblib.delayed(encode_part)(part, encoder, params, folder=folder) for part in parts)
            yield _plan(params, engine.run(calls, in_order=True), parts=parts, inks=inks, unnamed=None)
        return
    # a file without a name disappears with the process, however that ends
    with tempfile.TemporaryFile(dir=draft if is_local(draft) else None) as file:
        encode = partial(encode_part_into, file, encoder=encoder, params=params, path=None)
        yield _plan(params, map(encode, parts), parts=parts, inks=inks, unnamed=file)


def _plan(
    params: RasterizeParams,
    encoded: Iterator[EncodedPart],
    *,
    parts: list[Location],
    inks: Location,
    unnamed: BinaryIO | None,
) -> ShardPlan:
    """Collect the samples of all parts: about 30 bytes each, and the key of one of the valid or test split."""
    collected: list[Samples] = [np.empty(0, SAMPLE)]
    keys: list[pa.Array] = []
    pieces: list[Piece] = []
    starts = [0]
    rejected: list[Rejection] = []
    with Progress("rasterize: encode labels", total=_num_inks(parts), unit="inks") as progress:
        for part in encoded:
            for piece, samples, evaluation_keys in part.batches:
                samples["row"] += starts[-1]
                collected.append(samples)
                keys.append(evaluation_keys)
                pieces.append(piece)
                starts.append(starts[-1] + piece.num_rows)
            rejected += part.rejected
            progress.advance(part.num_inks)
    first_rows, samples = np.array(starts, dtype=np.int64), np.concatenate(collected)
    if not len(samples):
        raise LatexifyError(f"{inks} leaves nothing to draw: {len(rejected)} labels are too long, no other inks")
    if (row := _repeated_row(samples)) is not None:
        key = find_rows(np.array([row]), pieces=pieces, starts=first_rows).load(unnamed)["key"][0].as_py()
        raise LatexifyError(f"{inks} has more than one ink {key!r}: run `{INKS.producer}` again")
    rejected.sort(key=lambda rejection: rejection.key)
    shards = list(_shards(samples, pa.chunked_array(keys, pa.string()), samples_per_shard=params.samples_per_shard))
    return ShardPlan(pieces=pieces, starts=first_rows, unnamed=unnamed, shards=shards, rejected=rejected)


def _num_inks(parts: list[Location]) -> int:
    num_inks = 0
    for part in parts:
        with open_parquet(part) as file:
            num_inks += file.metadata.num_rows
    return num_inks


def _repeated_row(samples: Samples) -> int | None:
    """Return the row of an ink whose key another ink has, or None if all keys differ."""
    order = _order_of(samples)
    digests = samples["digest"][order]
    equal = np.flatnonzero((digests[1:] == digests[:-1]).all(axis=1))
    return int(samples["row"][order[equal[0] + 1]]) if len(equal) else None


def _shards(samples: Samples, keys: pa.ChunkedArray, *, samples_per_shard: int) -> Iterator[ShardRows]:
    """Yield all shards, by split and number; `keys` are those of the samples that are not for training.

    The valid and test splits are sorted by key, so that a person finds a sample. The training split is sorted by hashes
    of the keys, so that every shard is a mixture of all sources and writers, and variants of an ink lie far apart.
    """
    evaluation = samples["split"][samples["split"] != SPLITS.index("train")]
    for index, split in enumerate(SPLITS):
        own = samples[samples["split"] == index]
        if split == "train":
            own = own[_order_of(own)]
        else:
            own = own[pc.sort_indices(keys.filter(pa.array(evaluation == index))).to_numpy()]
        rows, variants = own["row"].copy(), own["variant"].copy()
        for number, start in enumerate(range(0, len(own), samples_per_shard)):
            part = slice(start, start + samples_per_shard)
            yield ShardRows(split=split, number=number, rows=rows[part], variants=variants[part])


def _order_of(samples: Samples) -> npt.NDArray[np.intp]:
    """Return the order that sorts samples by the bytes of their digests."""
    return np.lexsort((samples["digest"][:, 1], samples["digest"][:, 0]))
