"""Plan a shard folder: encode the labels, make the inks readable at random, and assign samples to shards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    DIGEST_BYTES,
    EncodedPart,
    EncodeSettings,
    Piece,
    SampleKeys,
    ScratchRows,
    encode_part,
    encode_part_into,
    scratch_folder,
    unnamed_scratch,
)
from latexify.pipeline.vocab.encoder import read_encoder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardRows:
    """The samples of one shard in order: `rows` among all pieces, int64 [n], and `variants`, int32 [n] (0 is plain)."""

    split: str
    number: int
    rows: npt.NDArray[np.int64]
    variants: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(kw_only=True, eq=False)
class SampleOrder:
    """Collects the keys of all samples and sorts the samples into shards.

    The valid and test splits are sorted by key, so that a person finds a sample. The training split is sorted by hashes
    of the keys, so that every shard is a mixture of all sources and writers, and variants of an ink lie far apart. A
    sample takes about 30 bytes, and one of the valid or test split also its key.
    """

    _digests: dict[str, list[bytes]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    _rows: dict[str, list[npt.NDArray[np.int64]]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    _variants: dict[str, list[npt.NDArray[np.int32]]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    _keys: dict[str, list[pa.Array]] = field(default_factory=lambda: {split: [] for split in SPLITS})

    def add(self, samples: SampleKeys, *, first_row: int) -> None:
        """Add the samples of a batch whose first ink is row `first_row` among all pieces."""
        for split in SPLITS:
            self._rows[split].append(samples.rows[split] + first_row)
            self._variants[split].append(samples.variants[split])
            self._digests[split].append(samples.digests[split])
            if split != "train":
                self._keys[split].append(samples.keys[split])

    def repeated_row(self) -> int | None:
        """Return the row of an ink whose key another ink has, or None if all keys differ."""
        digests = np.concatenate([self._digests_in(split) for split in SPLITS])
        order = _order_of(digests)
        equal = np.flatnonzero((digests[order[1:]] == digests[order[:-1]]).all(axis=1))
        if not len(equal):
            return None
        rows = [self._rows_in(split) for split in SPLITS]
        return int(np.concatenate(rows)[order[equal[0] + 1]])

    def shards(self, *, samples_per_shard: int) -> list[ShardRows]:
        """Return all shards, by split and number."""
        shards = []
        for split in SPLITS:
            rows, variants = self._train_samples() if split == "train" else self._evaluation_samples(split)
            for number, start in enumerate(range(0, len(rows), samples_per_shard)):
                part = slice(start, start + samples_per_shard)
                shards.append(ShardRows(split=split, number=number, rows=rows[part], variants=variants[part]))
        return shards

    def _train_samples(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        order = _order_of(self._digests_in("train"))
        variants = np.concatenate([np.empty(0, np.int32), *self._variants["train"]])
        return self._rows_in("train")[order], variants[order]

    def _evaluation_samples(self, split: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        order = pc.sort_indices(pa.chunked_array(self._keys[split], pa.string())).to_numpy()
        return self._rows_in(split)[order], np.zeros(len(order), np.int32)

    def _rows_in(self, split: str) -> npt.NDArray[np.int64]:
        return np.concatenate([np.empty(0, np.int64), *self._rows[split]])

    def _digests_in(self, split: str) -> npt.NDArray[np.uint64]:
        return np.frombuffer(b"".join(self._digests[split]), dtype=">u8").reshape(-1, DIGEST_BYTES // 8)


def _order_of(digests: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """Return the order that sorts the digests as bytes."""
    return np.lexsort((digests[:, 1], digests[:, 0]))


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardPlan:
    """The inks, the shards to write, and the inks that are left out.

    Attributes:
        pieces: Where the inks are.
        starts: Row with which each piece begins, int64 [num_pieces + 1].
        unnamed: The scratch file that only this process can read; None if workers open the pieces by their paths.
        shards: The samples of each shard.
        rejected: The inks that are left out.
    """

    pieces: list[Piece]
    starts: npt.NDArray[np.int64]
    unnamed: BinaryIO | None
    shards: list[ShardRows]
    rejected: list[Rejection]

    def inks(self, rows: npt.NDArray[np.int64]) -> ScratchRows | pa.RecordBatch:
        """Return the inks of these rows (at least one) for a task, or their positions if workers can read them."""
        positions = find_rows(rows, pieces=self.pieces, starts=self.starts)
        return positions if self.unnamed is None else positions.load(self.unnamed)


def find_rows(rows: npt.NDArray[np.int64], *, pieces: list[Piece], starts: npt.NDArray[np.int64]) -> ScratchRows:
    """Return the positions of rows that are counted through all pieces; a row may occur more than once."""
    piece_ids = np.searchsorted(starts, rows, side="right") - 1
    needed, inverse = np.unique(piece_ids, return_inverse=True)
    return ScratchRows(
        pieces=[pieces[piece_id] for piece_id in needed.tolist()], piece_ids=inverse, rows=rows - starts[piece_ids]
    )


@contextmanager
def plan_shards(
    params: RasterizeParams, *, inks: Location, tokenizer: Location, draft: Location, engine: Engine
) -> Iterator[ShardPlan]:
    """Encode the labels, copy the inks to scratch files, and assign the samples to shards.

    If the draft is on this machine's disk and the workers are on this machine, they do it. Otherwise this process does
    it alone, into a file on the draft's disk or in the system's temporary folder.

    Raises:
        LatexifyError: If no sample is left, two inks have the same key, or an ink violates `INK_SCHEMA`.
    """
    settings = EncodeSettings(encoder=read_encoder(tokenizer), max_tokens=params.max_tokens, variants=params.variants)
    parts = [inks / part["name"] for part in read_inks_manifest(inks).content["parts"]]
    if is_local(draft) and engine.is_here:
        with scratch_folder(draft) as folder:
            calls = (joblib.delayed(encode_part)(part, settings, folder=folder) for part in parts)
            yield _plan(params, engine.run(calls, in_order=True), parts=parts, inks=inks, unnamed=None)
        return
    with unnamed_scratch(draft if is_local(draft) else None) as file:
        encode = partial(encode_part_into, file, settings=settings, path=None)
        yield _plan(params, map(encode, parts), parts=parts, inks=inks, unnamed=file)


def _plan(
    params: RasterizeParams,
    encoded: Iterator[EncodedPart],
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
        for part in encoded:
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
        raise LatexifyError(f"{inks} has more than one ink {key!r}: run `{INKS.producer}` again")
    return ShardPlan(pieces=pieces, starts=first_rows, unnamed=unnamed, shards=shards, rejected=rejected)


def _num_inks(parts: list[Location]) -> int:
    num_inks = 0
    for part in parts:
        with open_parquet(part) as file:
            num_inks += file.metadata.num_rows
    return num_inks
