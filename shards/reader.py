"""Reading samples by row, in any order and from any process."""

import json
import os
import zlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from shards.errors import LatexifyError
from shards.index import MADE_BY, SplitIndex
from shards.png import decode_png
from shards.sample import Sample, decode_ids

MAX_OPEN_SHARDS = 128
"""Far below the usual limit of 1,024 open files, also for several readers in one process."""

Rows = Sequence[int] | npt.NDArray[np.integer[Any]]


class SampleReader:
    """Reads the samples of one split. Use as a context manager, or call :meth:`close`.

    Shards are opened when first needed and read by position (``pread``), so a reader may be forked, or pickled into a
    worker process, which opens the files anew. Not for several threads at a time.
    """

    def __init__(self, index: SplitIndex) -> None:
        self._index = index
        self._files: dict[int, int] = {}

    def read(self, rows: Rows) -> list[Sample]:
        """Read the samples of these rows of the index, in the order given.

        Raises LatexifyError that names shard and key where a sample is damaged.
        """
        return [self._read_sample(int(row)) for row in rows]

    def describe(self, rows: Rows) -> list[dict[str, Any]]:
        """Read the JSON of these rows: label (raw), normalized_label, writer, source, num_strokes, extent.

        Raises LatexifyError that names shard and key where a sample is damaged.
        """
        return [self._read_description(int(row)) for row in rows]

    def _read_sample(self, row: int) -> Sample:
        index = self._index
        # the token ids follow the picture with only a header between: one read brings both
        start, ids_start = int(index.png_offset[row]), int(index.ids_offset[row])
        try:
            data = self._pread(row, start, ids_start + int(index.ids_bytes[row]) - start)
            png, ids = data[: int(index.png_bytes[row])], data[ids_start - start :]
            # before anything is decoded: in the token ids, any flipped bit would make another label
            if zlib.crc32(ids, zlib.crc32(png)) != index.sample_crc32[row]:
                raise ValueError("its CRC-32 is not the index's")
            pixels, token_ids = decode_png(png), decode_ids(ids, num_tokens=int(index.num_tokens[row]))
        except (ValueError, OSError) as error:
            raise self._damaged(row, error) from None
        return Sample(key=index.keys[row].as_py(), label=index.labels[row].as_py(), pixels=pixels, token_ids=token_ids)

    def _read_description(self, row: int) -> dict[str, Any]:
        try:
            data = self._pread(row, int(self._index.json_offset[row]), int(self._index.json_bytes[row]))
            if zlib.crc32(data) != self._index.json_crc32[row]:
                raise ValueError("the CRC-32 of its JSON is not the index's")
            description = json.loads(data)
        except (ValueError, OSError) as error:
            raise self._damaged(row, error) from None
        assert isinstance(description, dict)
        return description

    def _damaged(self, row: int, error: Exception) -> LatexifyError:
        index = self._index
        shard = index.folder / index.shards[index.shard_ids[row]]
        return LatexifyError(f"{shard}: sample {index.keys[row]} cannot be read ({error}): run `{MADE_BY}` again")

    def _pread(self, row: int, offset: int, num_bytes: int) -> bytes:
        data = os.pread(self._open(int(self._index.shard_ids[row])), num_bytes, offset)
        if len(data) != num_bytes:
            raise ValueError("the shard ends before it does")
        return data

    def _open(self, shard_id: int) -> int:
        """File descriptor of a shard; the one opened longest ago is closed where there are too many."""
        if shard_id not in self._files:
            if len(self._files) >= MAX_OPEN_SHARDS:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[shard_id] = os.open(self._index.folder / self._index.shards[shard_id], os.O_RDONLY)
        return self._files[shard_id]

    def close(self) -> None:
        """Close the open shards. The reader may be used again: it opens them anew."""
        while self._files:
            os.close(self._files.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"_index": self._index, "_files": {}}
