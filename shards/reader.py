"""Reading samples by row, in any order and from any process."""

import os
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


class SampleReader:
    """Reads the samples of one split. Use as a context manager, or call :meth:`close`.

    Shards are opened when first needed and read by position (``pread``), so a reader may be used from several threads'
    batches one after another, forked, or pickled into a worker, which opens the files anew.
    """

    def __init__(self, index: SplitIndex) -> None:
        self._index = index
        self._files: dict[int, int] = {}

    def read(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]]) -> list[Sample]:
        """Read the samples of these rows of the index, in the order given.

        Raises LatexifyError that names shard and key where a sample is damaged.
        """
        return [self._read_one(int(row)) for row in rows]

    def _read_one(self, row: int) -> Sample:
        index = self._index
        key, shard_id = index.keys[row].as_py(), int(index.shard_ids[row])
        # the token ids follow the picture with only a header between: one read brings both
        start = int(index.png_offset[row])
        ids_start = int(index.ids_offset[row]) - start
        num_bytes = ids_start + int(index.ids_bytes[row])
        try:
            data = os.pread(self._open(shard_id), num_bytes, start)
            if len(data) != num_bytes:
                raise ValueError("the shard ends before it")  # noqa: TRY301  # one handler for every kind of damage
            pixels = decode_png(data[: int(index.png_bytes[row])])
            token_ids = decode_ids(data[ids_start:])
            if len(token_ids) != index.num_tokens[row]:
                raise ValueError(f"{len(token_ids)} token ids, not {index.num_tokens[row]}")  # noqa: TRY301
        except (ValueError, OSError) as error:
            shard = index.folder / index.shards[shard_id]
            raise LatexifyError(f"{shard}: sample {key!r} cannot be read ({error}): run `{MADE_BY}` again") from None
        return Sample(key=key, label=index.labels[row].as_py(), pixels=pixels, token_ids=token_ids)

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

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"_index": self._index, "_files": {}}
