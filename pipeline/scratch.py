"""All inks with their token ids in one file without a name, from which any of them are taken at random.

A shard's inks come from all over the Parquet parts, and decoding those for each shard would take longer than drawing.
"""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.ink import INK_SCHEMA

_COLUMNS = ("key", "label", "normalized_label", "points", "stroke_lengths", "writer", "source", "num_strokes")

SCRATCH_SCHEMA = pa.schema(
    [
        *(INK_SCHEMA.field(name) for name in _COLUMNS),
        pa.field("token_ids", pa.list_(pa.field("item", pa.int32(), nullable=False)), nullable=False),
    ]
)
"""What drawing a sample takes: of `INK_SCHEMA` what is needed, and the ids of the label."""


class ScratchWriter:
    """Appends inks to the scratch file; :meth:`finish` makes it readable."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._writer = pa.ipc.new_file(file, SCRATCH_SCHEMA)
        self.num_inks = 0

    def append(self, inks: pa.RecordBatch, token_ids: list[npt.NDArray[np.int32]]) -> None:
        """Append inks (of `INK_SCHEMA`) and the token ids of each."""
        if not token_ids:
            return
        ends = np.cumsum([0, *map(len, token_ids)], dtype=np.int32)
        ids = pa.ListArray.from_arrays(pa.array(ends), pa.array(np.concatenate(token_ids, dtype=np.int32)))
        columns = [*(inks[name] for name in _COLUMNS), ids.cast(SCRATCH_SCHEMA.field("token_ids").type)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCRATCH_SCHEMA))
        self.num_inks += len(inks)

    def finish(self) -> "Scratch":
        """Close the writer and map the file."""
        self._writer.close()
        self._file.flush()
        return Scratch.open(self._file)


@dataclass(frozen=True)
class Scratch:
    """The finished scratch file, mapped into memory.

    Pages that were read count as this process's memory, and those around them with them, until it gives them back:
    :meth:`take` does so after each batch, so that memory does not grow with the file.
    """

    _mapped: mmap.mmap
    _reader: pa.RecordBatchFileReader
    _starts: npt.NDArray[np.int64]

    @classmethod
    def open(cls, file: Any) -> Self:
        """Map an Arrow file of `SCRATCH_SCHEMA`."""
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        mapped.madvise(mmap.MADV_RANDOM)  # reading ahead would bring inks of other shards
        reader = pa.ipc.open_file(pa.py_buffer(mapped))
        sizes = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
        return cls(mapped, reader, np.cumsum([0, *sizes]))

    def take(self, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
        """Copy the inks of these rows, at least one, in their order; a row may occur more than once."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        numbers = np.searchsorted(self._starts, ascending, side="right") - 1
        pieces = []
        for number in np.unique(numbers).tolist():
            pieces.append(
                self._reader.get_batch(number).take(pa.array(ascending[numbers == number] - self._starts[number]))
            )
            self._mapped.madvise(mmap.MADV_DONTNEED)
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        taken = pa.concat_batches(pieces).take(pa.array(places))
        del pieces
        pa.default_memory_pool().release_unused()  # Arrow would keep what the pieces took, and more each time
        return taken


@contextmanager
def scratch_file(folder: Path | None) -> Iterator[ScratchWriter]:
    """A scratch file on the disk of `folder`, or of the system's temporary folder where that is None.

    It has no name, so that it is gone when the process is, however that ends.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        yield ScratchWriter(file)
