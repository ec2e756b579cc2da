"""All inks with their token ids, uncompressed, so that any of them are taken at random.

A shard's inks come from all over the Parquet parts, and decoding those for each shard would take longer than drawing.
Where workers share this machine's disk, each part of the inks has a file in a folder, which its worker writes and all
workers map; otherwise there is one file without a name, of which the main process sends what a task needs.
"""

import mmap
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from latexify.artifacts.draft import RECORDS_NAME
from latexify.pipeline.inks.ink import INK_SCHEMA, TOKEN_IDS

_COLUMNS = ("key", "label", "normalized_label", "points", "stroke_lengths", "writer", "source", "num_strokes")

SCRATCH_SCHEMA = pa.schema(
    [*(INK_SCHEMA.field(name) for name in _COLUMNS), pa.field("token_ids", TOKEN_IDS, nullable=False)]
)
"""What drawing a sample takes: of `INK_SCHEMA` what is needed, and the ids of the label."""

_FOLDER_PREFIX = "inks-"

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A batch of inks in a scratch file: an Arrow message of `num_bytes` from `offset` on."""

    path: Path | None
    offset: int
    num_bytes: int
    num_rows: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScratchRows:
    """Some inks, by where they lie.

    pieces: those that hold any. piece_of: int64 [n], of each ink. row: int64 [n], in its piece.
    """

    pieces: list[Piece]
    piece_of: Rows
    row: Rows

    def load(self, file: BinaryIO | None = None) -> pa.RecordBatch:
        """Copy these inks, at least one, in their order. file: the scratch file, for pieces without a path.

        Memory does not grow with the scratch: pages of a mapped file that were read, and those around them, count as
        this process's until they are unmapped, and that is done batch by batch.
        """
        order = np.argsort(self.piece_of, kind="stable")
        bounds = np.searchsorted(self.piece_of[order], np.arange(len(self.pieces) + 1))
        taken = [
            _take(piece, self.row[order[first:last]], file=file)
            for piece, first, last in zip(self.pieces, bounds[:-1], bounds[1:], strict=True)
        ]
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        inks = pa.concat_batches(taken).take(pa.array(places))
        del taken
        pa.default_memory_pool().release_unused()  # Arrow would keep what the pieces took, and more each time
        return inks


def _take(piece: Piece, rows: Rows, *, file: BinaryIO | None) -> pa.RecordBatch:
    if piece.path is not None:
        with piece.path.open("rb") as opened:
            return _take_from(opened, piece, rows)
    assert file is not None, "this piece is in the file without a name"
    return _take_from(file, piece, rows)


def _take_from(file: BinaryIO, piece: Piece, rows: Rows) -> pa.RecordBatch:
    before = piece.offset % mmap.ALLOCATIONGRANULARITY
    mapped = mmap.mmap(
        file.fileno(), before + piece.num_bytes, access=mmap.ACCESS_READ, offset=piece.offset - before
    )  # unmapped with the last reference to it
    mapped.madvise(mmap.MADV_RANDOM)  # reading ahead would bring inks of other shards
    batch = pa.ipc.read_record_batch(pa.py_buffer(mapped).slice(before), SCRATCH_SCHEMA)
    return batch.take(pa.array(rows))


def append_inks(file: BinaryIO, inks: pa.RecordBatch, token_ids: pa.ListArray, *, path: Path | None) -> Piece:
    """Append inks (of `INK_SCHEMA`, at least one) and the ids of each to a scratch file that stands at its end."""
    columns = [*(inks[name] for name in _COLUMNS), token_ids]
    message = pa.RecordBatch.from_arrays(columns, schema=SCRATCH_SCHEMA).serialize()
    piece = Piece(path=path, offset=file.tell(), num_bytes=message.size, num_rows=len(inks))
    file.write(message)
    file.write(bytes(-message.size % 64))  # Arrow wants its buffers aligned
    file.flush()
    return piece


@contextmanager
def scratch_folder(draft: Path) -> Iterator[Path]:
    """A new folder for scratch files among the notes of a draft, which are deleted with them.

    New each time: a worker that outlived a killed run must not read the inks of the next. A killed run leaves its own
    to the next, which deletes it.
    """
    notes = draft / RECORDS_NAME
    notes.mkdir(exist_ok=True)
    for left in notes.glob(f"{_FOLDER_PREFIX}*"):
        _delete(left)
    folder = notes / f"{_FOLDER_PREFIX}{secrets.token_hex(8)}"
    folder.mkdir()
    yield folder


def _delete(folder: Path) -> None:
    """Delete a folder of files, which other processes may delete or write into."""
    for path in folder.iterdir():
        path.unlink(missing_ok=True)
    folder.rmdir()


@contextmanager
def unnamed_scratch(folder: Path | None) -> Iterator[BinaryIO]:
    """A scratch file on the disk of `folder`, or of the system's temporary folder where that is None.

    It has no name, so that it is gone when the process is, however that ends.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        yield file
