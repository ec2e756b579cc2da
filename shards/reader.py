"""Reading samples by row, in any order and from any process."""

import json
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

from shards.cache import ShardCache
from shards.errors import LatexifyError
from shards.index import MADE_BY, SplitIndex
from shards.place import is_local
from shards.png import decode_png_into
from shards.prefetch import Prefetcher
from shards.sample import Sample, decode_ids

MAX_OPEN_SHARDS = 128
"""Far below the usual limit of 1,024 open files, also for several readers in one process."""

MAX_OPEN_COPIES = 16
"""The same for remote shards: a copy takes room in the cache for as long as it is open, also when it was removed."""

_FETCHED_AT_ONCE = 8

Rows = Sequence[int] | npt.NDArray[np.integer[Any]]


class DamagedSampleError(LatexifyError):
    """A sample's bytes are not those that were written. Its shard is there, and as long as it should be."""


class SampleReader:
    """Reads the samples of one split. Use as a context manager, or call :meth:`close`.

    Shards are opened when first needed and read by position (``pread``), so a reader may be forked, or pickled into a
    worker process, which opens the files anew. Remote shards are read from whole copies in `shards.cache`. Nothing is
    unpacked: what a tar says of itself is never read, only the bytes that the index points at, and those only where
    they have the index's CRC-32. Not for several threads at a time.
    """

    def __init__(self, index: SplitIndex) -> None:
        self._index = index
        self._files: dict[int, int] = {}
        self._cache = None if is_local(index.folder) else ShardCache.from_environment()
        self._prefetcher = Prefetcher(self._keep)
        self._last_opened = -1

    def read(self, rows: Rows) -> list[Sample]:
        """Read the samples of these rows of the index, in the order given.

        Raises DamagedSampleError that names shard and key where a sample is damaged, LatexifyError where a shard is
        missing or cut off.
        """
        self._open_all(rows)
        places = self._batch(len(rows))
        return [self._read_sample(int(row), place) for row, place in zip(rows, places, strict=True)]

    def read_or_reject(
        self, rows: Rows, *, pixels: npt.NDArray[np.uint8] | None = None
    ) -> list[Sample | DamagedSampleError]:
        """As :meth:`read`, but with the error in place of a damaged sample.

        pixels: uint8 [len(rows), height, width] to decode into; the samples' pictures are views of it. What it holds in
        the place of a damaged sample is undefined.
        """
        self._open_all(rows)
        places = self._batch(len(rows)) if pixels is None else pixels
        return [self._read_or_reject_sample(int(row), place) for row, place in zip(rows, places, strict=True)]

    def describe(self, rows: Rows) -> list[dict[str, Any]]:
        """Read the JSON of these rows: label (raw), normalized_label, writer, source, num_strokes, extent.

        Raises as :meth:`read`.
        """
        self._open_all(rows)
        return [self._read_description(int(row)) for row in rows]

    def prefetch(self, shard_ids: Sequence[int]) -> None:
        """Begin to fetch remote shards that will soon be read; does nothing for shards on this machine."""
        if self._cache is not None:
            for shard_id in shard_ids:
                if shard_id not in self._files:
                    self._prefetcher.request(shard_id)

    def _keep(self, shard_id: int) -> None:
        os.close(self._open_anew(shard_id))

    def _batch(self, num_samples: int) -> npt.NDArray[np.uint8]:
        return np.empty((num_samples, self._index.height_px, self._index.width_px), dtype=np.uint8)

    def _read_or_reject_sample(self, row: int, pixels: npt.NDArray[np.uint8]) -> Sample | DamagedSampleError:
        try:
            return self._read_sample(row, pixels)
        except DamagedSampleError as error:
            return error

    def _read_sample(self, row: int, pixels: npt.NDArray[np.uint8]) -> Sample:
        index = self._index
        # the token ids follow the picture with only a header between: one read brings both
        start, ids_start = int(index.png_offset[row]), int(index.ids_offset[row])
        data = memoryview(self._pread(row, start, ids_start + int(index.ids_bytes[row]) - start))
        png, ids = data[: int(index.png_bytes[row])], data[ids_start - start :]
        # before anything is decoded: in the token ids, any flipped bit would make another label
        if isal_zlib.crc32(ids, isal_zlib.crc32(png)) != index.sample_crc32[row]:
            raise self._damaged(row, "its CRC-32 is not the index's")
        try:
            decode_png_into(png, pixels)
            token_ids = decode_ids(ids, num_tokens=int(index.num_tokens[row]))
        except ValueError as error:
            raise self._damaged(row, error) from None
        return Sample(key=index.keys[row].as_py(), label=index.labels[row].as_py(), pixels=pixels, token_ids=token_ids)

    def _read_description(self, row: int) -> dict[str, Any]:
        data = self._pread(row, int(self._index.json_offset[row]), int(self._index.json_bytes[row]))
        if zlib.crc32(data) != self._index.json_crc32[row]:
            raise self._damaged(row, "the CRC-32 of its JSON is not the index's")
        try:
            description = json.loads(data)
        except ValueError as error:
            raise self._damaged(row, error) from None
        if not isinstance(description, dict):
            raise self._damaged(row, "its JSON is not an object")
        return description

    def _damaged(self, row: int, problem: object) -> DamagedSampleError:
        index = self._index
        shard = index.folder / index.shards[index.shard_ids[row]]
        return DamagedSampleError(
            f"{shard}: sample {index.keys[row]} cannot be read ({problem}): run `{MADE_BY}` again"
        )

    def _pread(self, row: int, offset: int, num_bytes: int) -> bytes:
        shard_id = int(self._index.shard_ids[row])
        try:
            data = os.pread(self._open(shard_id), num_bytes, offset)
        except OSError as error:
            raise self._broken(shard_id, error.strerror) from None
        if len(data) != num_bytes:
            raise self._broken(shard_id, f"it ends before sample {self._index.keys[row]} does")
        return data

    def _broken(self, shard_id: int, problem: object) -> LatexifyError:
        shard = self._index.folder / self._index.shards[shard_id]
        return LatexifyError(f"{shard} cannot be read ({problem}): run `{MADE_BY}` again")

    def _open_all(self, rows: Rows) -> None:
        """Fetch the remote shards of these rows side by side: one after another, each would add its round trip."""
        if self._cache is None:
            return
        needed = dict.fromkeys(int(self._index.shard_ids[row]) for row in rows)
        missing = [shard_id for shard_id in needed if shard_id not in self._files][:MAX_OPEN_COPIES]
        if len(missing) > 1:
            with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
                for shard_id, file in zip(missing, pool.map(self._open_anew, missing), strict=True):
                    self._keep_open(shard_id, file)

    def _open(self, shard_id: int) -> int:
        """File descriptor of a shard. Where they are read in their order, the next one is fetched meanwhile."""
        if shard_id not in self._files:
            self._keep_open(shard_id, self._open_anew(shard_id))
            if self._last_opened == shard_id - 1 and shard_id + 1 < len(self._index.shards):
                self.prefetch([shard_id + 1])
            self._last_opened = shard_id
        return self._files[shard_id]

    def _open_anew(self, shard_id: int) -> int:
        index = self._index
        if is_local(index.folder):
            return os.open(index.folder / index.shards[shard_id], os.O_RDONLY)
        assert self._cache is not None, "made with the reader"
        source = index.folder / index.shards[shard_id]
        return self._cache.open(source, num_bytes=index.shard_bytes[shard_id], sha256=index.shard_sha256[shard_id])

    def _keep_open(self, shard_id: int, file: int) -> None:
        """Remember an open file; the one opened longest ago is closed where there are too many."""
        if len(self._files) >= (MAX_OPEN_SHARDS if self._cache is None else MAX_OPEN_COPIES):
            os.close(self._files.pop(next(iter(self._files))))
        self._files[shard_id] = file

    def close(self) -> None:
        """Close the open shards. The reader may be used again: it opens them anew."""
        self._prefetcher.close()
        self._prefetcher = Prefetcher(self._keep)
        while self._files:
            os.close(self._files.popitem()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_prefetcher"} | {"_files": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prefetcher = Prefetcher(self._keep)
