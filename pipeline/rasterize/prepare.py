"""Prepare the parts of the inks folder for drawing: encode labels, copy inks to scratch files, list the samples.

A shard's inks come from all over the Parquet parts, and decoding those for each shard would take longer than drawing.
So all inks are copied, uncompressed, to where any of them can be read at random. If workers share this machine's disk,
each part gets a file in a folder, which its worker writes and all workers map into memory. Otherwise there is one file
without a name, from which the main process sends what a task needs.
"""

import hashlib
import mmap
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.draft import RECORDS_NAME
from latexify.artifacts.files import open_parquet
from latexify.artifacts.location import Location
from latexify.artifacts.names import COMPOSED_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import RasterizeParams
from latexify.pipeline.inks.ink import SPLITS, Reason, Rejection
from latexify.pipeline.inks.schemas import INK_SCHEMA, PICTURE_SCHEMA, TOKEN_IDS
from latexify.pipeline.rasterize.variants import VARIANT_MARK, variant_key

if TYPE_CHECKING:  # workers that draw do not need tokenizers
    from latexify.pipeline.vocab.encoder import LabelEncoder

_BATCH_INKS = 1024
STROKE_SCALE, PICTURE = "stroke_scale", "picture"
_COLUMNS = (
    *("key", "label", "normalized_label", "points", "stroke_lengths", "writer", "source", "num_strokes"),
    *(STROKE_SCALE, PICTURE),
)
_FOLDER_PREFIX = "inks-"

# the columns of `PICTURE_SCHEMA` that drawing needs, and the token ids of the label
SCRATCH_SCHEMA = pa.schema(
    [*(PICTURE_SCHEMA.field(name) for name in _COLUMNS), pa.field("token_ids", TOKEN_IDS, nullable=False)]
)
# what decides the order of a sample: the index of its split in `SPLITS`, its ink's row, its variant (0 is the ink as it
# was written) and a hash of its key that sorts as its bytes do
SAMPLE = np.dtype([("split", np.uint8), ("row", np.int64), ("variant", np.int32), ("digest", ">u8", 2)])

Rows = npt.NDArray[np.int64]
Samples = npt.NDArray[np.void]  # of `SAMPLE`, [num_samples]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A batch of inks in a scratch file: an Arrow message of `num_bytes` from `offset` on."""

    path: Path | None
    offset: int
    num_bytes: int
    num_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPart:
    """The result of encoding one part of the inks folder, which has `num_inks`."""

    num_inks: int
    # of each batch of inks that were not rejected: where it is, its samples, and the keys of those not for training
    batches: list[tuple[Piece, Samples, pa.Array]]
    rejected: list[Rejection]  # the inks whose labels are too long


def encode_part(part: Location, encoder: "LabelEncoder", params: RasterizeParams, *, folder: Path) -> EncodedPart:
    """Copy the inks of a Parquet part into a file in `folder`, with their token ids (runs in a worker).

    Raises LatexifyError if an ink violates the contract of `INK_SCHEMA`.
    """
    path = folder / part.name
    with path.open("wb") as file:
        return encode_part_into(file, part, encoder, params, path=path)


def encode_part_into(
    file: BinaryIO, part: Location, encoder: "LabelEncoder", params: RasterizeParams, *, path: Path | None
) -> EncodedPart:
    """Do what :func:`encode_part` does, into an open scratch file; `path` is its name if it has one."""
    num_inks = 0
    batches: list[tuple[Piece, Samples, pa.Array]] = []
    rejected: list[Rejection] = []
    for batch in _read_part(part):
        num_inks += len(batch)
        token_ids = encoder.encode(batch["normalized_label"].to_pylist())
        lengths = np.diff(token_ids.offsets.to_numpy())
        is_train = pc.equal(batch["split"], "train").to_numpy(zero_copy_only=False)
        too_long = is_train & (lengths > params.max_tokens)
        if too_long.any():
            rejected += _reject(batch.filter(pa.array(too_long)), lengths[too_long], max_tokens=params.max_tokens)
            batch, token_ids = batch.filter(pa.array(~too_long)), token_ids.filter(pa.array(~too_long))  # noqa: PLW2901
        if len(batch):
            samples, keys = _samples_of(batch, variants=params.variants)
            batches.append((append_inks(file, batch, token_ids, path=path), samples, keys))
    return EncodedPart(num_inks=num_inks, batches=batches, rejected=rejected)


def _read_part(part: Location) -> Iterator[pa.RecordBatch]:
    with open_parquet(part) as file:
        for batch in file.iter_batches(batch_size=_BATCH_INKS):
            yield with_pictures(batch)
            pa.default_memory_pool().release_unused()  # otherwise Arrow keeps the memory that decoding took


def with_pictures(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the rows of inks or pictures with all columns of `PICTURE_SCHEMA`."""
    if PICTURE in batch.schema.names:
        return batch.cast(PICTURE_SCHEMA)
    scales, pictures = pa.array(np.ones(len(batch))), pa.nulls(len(batch), PICTURE_SCHEMA.field(PICTURE).type)
    return pa.RecordBatch.from_arrays([*batch.cast(INK_SCHEMA).columns, scales, pictures], schema=PICTURE_SCHEMA)


def _reject(inks: pa.RecordBatch, num_tokens: npt.NDArray[np.int32], *, max_tokens: int) -> Iterator[Rejection]:
    for key, source, count in zip(inks["key"].to_pylist(), inks["source"].to_pylist(), num_tokens, strict=True):
        detail = f"{count} tokens, at most {max_tokens} (rasterize.max_tokens)"
        yield Rejection(key=key, source=source, reason=Reason.LONG_LABEL, detail=detail)


def _samples_of(inks: pa.RecordBatch, *, variants: int) -> tuple[Samples, pa.Array]:
    """Return the samples of some inks (rows counted in the batch), and the keys of those not for training.

    Each human-written ink of the training split has `variants` samples, every other ink one; composed inks need no
    variants, because any number of different ones can be composed, and pictures that are not traced have none. Raises
    LatexifyError if an ink has an unknown split, or a key that looks like a variant's.
    """
    _check_keys(inks, variants=variants)
    splits = pc.index_in(inks["split"], pa.array(SPLITS)).to_numpy()
    is_train = splits == SPLITS.index("train")
    composed = pc.starts_with(inks["source"], f"{COMPOSED_NAME}/").to_numpy(zero_copy_only=False)
    is_picture = pc.is_valid(inks[PICTURE]).to_numpy(zero_copy_only=False)
    counts = np.where(is_train & ~composed & ~is_picture, variants, 1)
    samples = np.empty(counts.sum(), SAMPLE)
    samples["split"] = np.repeat(splits, counts)
    samples["row"] = np.repeat(np.arange(len(inks)), counts)
    samples["variant"] = np.arange(len(samples)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = inks["key"].to_pylist()
    names = (variant_key(keys[row], variant) for row, variant in samples[["row", "variant"]].tolist())
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=16).digest() for name in names)
    samples["digest"] = np.frombuffer(digests, ">u8").reshape(-1, 2)
    return samples, inks["key"].filter(pa.array(~is_train))


def _check_keys(inks: pa.RecordBatch, *, variants: int) -> None:
    unknown = inks.filter(pc.invert(pc.is_in(inks["split"], pa.array(SPLITS))))
    if len(unknown):
        key, split = unknown["key"][0].as_py(), unknown["split"][0].as_py()
        raise LatexifyError(f"ink {key!r} is of split {split!r}, known are {', '.join(SPLITS)}: run ingest again")
    marked = inks["key"].filter(pc.match_substring(inks["key"], VARIANT_MARK))
    if variants > 1 and len(marked):
        raise LatexifyError(
            f"ink {marked[0].as_py()!r}: {VARIANT_MARK} in a key marks a variant: "
            "percent-encode it when the inks are made, or set rasterize.variants to 1"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScratchRows:
    """The positions of some inks in scratch files."""

    pieces: list[Piece]  # those that hold any of the inks
    piece_ids: Rows  # index into `pieces` for each ink
    rows: Rows  # of each ink in its piece

    def load(self, file: BinaryIO | None = None) -> pa.RecordBatch:
        """Copy these inks (at least one) in their order; `file` is the scratch file of pieces without a path.

        Memory does not grow with the scratch files: pages of a mapped file count as this process's until they are
        unmapped, so each piece is mapped and unmapped in turn.
        """
        order = np.argsort(self.piece_ids, kind="stable")
        bounds = np.searchsorted(self.piece_ids[order], np.arange(len(self.pieces) + 1))
        batches = [
            _take(piece, self.rows[order[first:last]], file=file)
            for piece, first, last in zip(self.pieces, bounds[:-1], bounds[1:], strict=True)
        ]
        inverse = np.empty_like(order)
        inverse[order] = np.arange(len(order))
        inks = pa.concat_batches(batches).take(pa.array(inverse))
        del batches
        pa.default_memory_pool().release_unused()  # otherwise Arrow keeps more memory with each call
        return inks


def _take(piece: Piece, rows: Rows, *, file: BinaryIO | None) -> pa.RecordBatch:
    before = piece.offset % mmap.ALLOCATIONGRANULARITY
    place = {"access": mmap.ACCESS_READ, "offset": piece.offset - before}
    with nullcontext(file) if piece.path is None else piece.path.open("rb") as opened:
        assert opened is not None, "pieces without a path are in the unnamed scratch file"
        mapped = mmap.mmap(opened.fileno(), before + piece.num_bytes, **place)  # unmapped with its last reference
    mapped.madvise(mmap.MADV_RANDOM)  # reading ahead would load inks of other shards
    batch = pa.ipc.read_record_batch(pa.py_buffer(mapped).slice(before), SCRATCH_SCHEMA)
    return batch.take(pa.array(rows))


def append_inks(file: BinaryIO, inks: pa.RecordBatch, token_ids: pa.ListArray, *, path: Path | None) -> Piece:
    """Append inks (of `PICTURE_SCHEMA`, at least one) and their token ids to a scratch file positioned at its end."""
    columns = [*(inks[name] for name in _COLUMNS), token_ids]
    message = pa.RecordBatch.from_arrays(columns, schema=SCRATCH_SCHEMA).serialize()
    piece = Piece(path=path, offset=file.tell(), num_bytes=message.size, num_rows=len(inks))
    file.write(message)
    file.write(bytes(-message.size % 64))  # Arrow wants aligned buffers
    file.flush()
    return piece


@contextmanager
def scratch_folder(draft: Path) -> Iterator[Path]:
    """Yield a new folder for scratch files among the records of a draft, with which it is deleted.

    The folder is new each time, because a worker that outlived a killed run must not read the inks of the next run.
    Folders left by killed runs are deleted.
    """
    records = draft / RECORDS_NAME
    records.mkdir(exist_ok=True)
    for leftover in records.glob(f"{_FOLDER_PREFIX}*"):
        for path in leftover.iterdir():
            path.unlink(missing_ok=True)  # another process may delete it, too
        leftover.rmdir()
    folder = records / f"{_FOLDER_PREFIX}{secrets.token_hex(8)}"
    folder.mkdir()
    yield folder
