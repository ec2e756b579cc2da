"""Read samples by row, in any order and from any process."""

import itertools
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from isal import isal_zlib

from latexify.artifacts.location import Location, is_local
from latexify.artifacts.names import SHARDS
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex
from latexify.shards.format.png import PAPER, decode_png_into
from latexify.shards.format.sample import Sample, decode_ids
from latexify.shards.reading.cache import ShardCache
from latexify.shards.reading.prefetch import Prefetcher

MAX_OPEN_SHARDS = 128  # far below the usual limit of 1,024 open files, even with several readers in one process
MAX_OPEN_COPIES = 16  # of remote shards, because an open copy takes disk space even after the cache removed it
_FETCHED_AT_ONCE = 8

Rows = Sequence[int] | npt.NDArray[np.integer[Any]]


class _Entry(NamedTuple):
    """One row of the index, as plain Python values."""

    shard_id: int
    png_offset: int
    png_bytes: int
    ids_offset: int
    ids_bytes: int
    num_tokens: int
    sample_crc32: int
    height_px: int
    width_px: int
    key: str
    label: str

    @property
    def num_bytes(self) -> int:
        """Bytes from the start of the picture to the end of the token ids, which follow it after a header."""
        return self.ids_offset + self.ids_bytes - self.png_offset


class _Fetched(NamedTuple):
    """A sample as it is in its shard, with the right CRC-32."""

    entry: _Entry
    png: memoryview
    token_ids: npt.NDArray[np.int32]


class DamagedSampleError(LatexifyError):
    """A sample's bytes are not those that were written, though its shard exists and has the right size."""


class SampleReader:
    """Reads the samples of one split. Use it as a context manager, or call :meth:`close`; not thread-safe.

    Shards are opened when first needed and read by position (``pread``), so a reader may be forked, or pickled into a
    worker process, which opens the files again. Remote shards are read from whole copies, see
    `latexify.shards.reading.cache`. Tar headers are never read, only the bytes that the index points at, and these are
    decoded only if they have the CRC-32 of the index.
    """

    def __init__(self, index: SplitIndex) -> None:
        self._index = index
        self._files: dict[int, int] = {}
        self._cache = None if is_local(index.folder) else ShardCache.from_environment()
        self._prefetcher = Prefetcher(self._keep)
        self._last_opened = -1

    def read(self, rows: Rows) -> list[Sample]:
        """Read the samples of these rows of the index, in the order given.

        Raises DamagedSampleError, which names shard and key, if a sample is damaged; LatexifyError if a shard is
        missing or truncated.
        """
        samples = []
        for sample in self.read_or_reject(rows):
            if isinstance(sample, DamagedSampleError):
                raise sample
            samples.append(sample)
        return samples

    def read_or_reject(
        self, rows: Rows, *, pixels: npt.NDArray[np.uint8] | None = None
    ) -> list[Sample | DamagedSampleError]:
        """Read samples as :meth:`read` does, but return an error in place of a damaged sample.

        All have the size that holds every one of them; smaller ones have paper on all sides. If given, `pixels`, uint8
        [len(rows), height, width] of at least that size, is decoded into. The samples' pictures are views of it, and
        those of damaged samples are undefined. Raises LatexifyError if a shard is missing or truncated.
        """
        self._open_all(rows)
        if pixels is None:
            pixels = np.empty((len(rows), *self._index.largest_px(rows)), dtype=np.uint8)
        # fetch all samples before decoding, because pictures displace everything else from the processor's caches
        return [self._decode(sample, target) for sample, target in zip(self._fetch(rows), pixels, strict=True)]

    def describe(self, rows: Rows) -> list[dict[str, Any]]:
        """Read the JSON of these rows: label (raw), normalized_label, writer (or None), source, num_strokes, extent.

        Raises as :meth:`read`.
        """
        self._open_all(rows)
        return [self._read_description(int(row)) for row in rows]

    def prefetch(self, shard_ids: Sequence[int]) -> None:
        """Start to fetch remote shards that will be read soon; does nothing for shards on this machine."""
        if self._cache is not None:
            for shard_id in shard_ids:
                if shard_id not in self._files:
                    self._prefetcher.request(shard_id)

    def _keep(self, shard_id: int) -> None:
        os.close(self._open_anew(shard_id))

    def _entries(self, rows: Rows) -> Iterator[_Entry]:
        """Look up rows column by column: a single value costs as much as reading a sample from a shard."""
        index, rows = self._index, np.asarray(rows, dtype=np.int64)
        offsets = (index.png_offset, index.png_bytes, index.ids_offset, index.ids_bytes)
        columns = (index.shard_ids, *offsets, index.num_tokens, index.sample_crc32, *index.sizes_px.T)
        numbers = (column[rows].tolist() for column in columns)
        strings = (column.take(pa.array(rows)).to_pylist() for column in (index.keys, index.labels))
        return map(_Entry._make, zip(*numbers, *strings, strict=True))

    def _fetch(self, rows: Rows) -> list[_Fetched | DamagedSampleError]:
        entries = list(self._entries(rows))
        ends = list(itertools.accumulate(entry.num_bytes for entry in entries))
        buffer = memoryview(bytearray(ends[-1] if ends else 0))
        return [
            self._fetch_sample(entry, buffer[end - entry.num_bytes : end])
            for entry, end in zip(entries, ends, strict=True)
        ]

    def _fetch_sample(self, entry: _Entry, buffer: memoryview) -> _Fetched | DamagedSampleError:
        self._pread(entry.shard_id, entry.png_offset, buffer, key=entry.key)
        png, ids = buffer[: entry.png_bytes], buffer[entry.ids_offset - entry.png_offset :]
        # before anything is decoded, because any flipped bit in the token ids would make another label
        if isal_zlib.crc32(ids, isal_zlib.crc32(png)) != entry.sample_crc32:
            return self._damaged(entry.shard_id, entry.key, "its CRC-32 is not the index's")
        try:
            return _Fetched(entry, png, decode_ids(ids, num_tokens=entry.num_tokens))
        except ValueError as error:
            return self._damaged(entry.shard_id, entry.key, error)

    def _decode(
        self, sample: _Fetched | DamagedSampleError, pixels: npt.NDArray[np.uint8]
    ) -> Sample | DamagedSampleError:
        if isinstance(sample, DamagedSampleError):
            return sample
        entry = sample.entry
        top, left = (pixels.shape[0] - entry.height_px) // 2, (pixels.shape[1] - entry.width_px) // 2
        inside = pixels[top : top + entry.height_px, left : left + entry.width_px]
        if inside.shape != pixels.shape:
            pixels[:] = PAPER
        try:
            decode_png_into(sample.png, inside)
        except ValueError as error:
            return self._damaged(entry.shard_id, entry.key, error)
        return Sample(key=entry.key, label=entry.label, pixels=pixels, token_ids=sample.token_ids)

    def _read_description(self, row: int) -> dict[str, Any]:
        index = self._index
        shard_id, key = int(index.shard_ids[row]), index.keys[row].as_py()
        data = bytearray(int(index.json_bytes[row]))
        self._pread(shard_id, int(index.json_offset[row]), memoryview(data), key=key)
        if zlib.crc32(data) != index.json_crc32[row]:
            raise self._damaged(shard_id, key, "the CRC-32 of its JSON is not the index's")
        try:
            description = json.loads(data)
        except ValueError as error:
            raise self._damaged(shard_id, key, error) from None
        if not isinstance(description, dict):
            raise self._damaged(shard_id, key, "its JSON is not an object")
        if not description.get("writer"):
            description["writer"] = None  # written as an empty text; shards of earlier versions have null
        return description

    def _shard(self, shard_id: int) -> Location:
        return self._index.folder / self._index.shards[shard_id]

    def _damaged(self, shard_id: int, key: str, problem: object) -> DamagedSampleError:
        sample = f"{self._shard(shard_id)}: sample {key}"
        return DamagedSampleError(f"{sample} cannot be read ({problem}): run `{SHARDS.producer}` again")

    def _pread(self, shard_id: int, offset: int, buffer: memoryview, *, key: str) -> None:
        """Fill the buffer with a shard's bytes from `offset` on, without allocating memory for each sample."""
        try:
            num_read = os.preadv(self._open(shard_id), [buffer], offset)
        except OSError as error:
            raise self._broken(shard_id, error.strerror) from None
        if num_read != len(buffer):
            raise self._broken(shard_id, f"it ends before sample {key} does")

    def _broken(self, shard_id: int, problem: object) -> LatexifyError:
        return LatexifyError(f"{self._shard(shard_id)} cannot be read ({problem}): run `{SHARDS.producer}` again")

    def _open_all(self, rows: Rows) -> None:
        """Fetch the remote shards of these rows in parallel, because each costs a round trip."""
        if self._cache is None:
            return
        needed = dict.fromkeys(int(self._index.shard_ids[row]) for row in rows)
        missing = [shard_id for shard_id in needed if shard_id not in self._files][:MAX_OPEN_COPIES]
        if len(missing) > 1:
            with ThreadPoolExecutor(_FETCHED_AT_ONCE) as pool:
                for shard_id, file in zip(missing, pool.map(self._open_anew, missing), strict=True):
                    self._keep_open(shard_id, file)

    def _open(self, shard_id: int) -> int:
        """Return the file descriptor of a shard. If shards are read in order, the next one is prefetched."""
        if shard_id not in self._files:
            self._keep_open(shard_id, self._open_anew(shard_id))
            if self._last_opened == shard_id - 1 and shard_id + 1 < len(self._index.shards):
                self.prefetch([shard_id + 1])
            self._last_opened = shard_id
        return self._files[shard_id]

    def _open_anew(self, shard_id: int) -> int:
        index, shard = self._index, self._shard(shard_id)
        if is_local(shard):
            return os.open(shard, os.O_RDONLY)
        assert self._cache is not None, "remote readers have a cache"
        return self._cache.open(shard, num_bytes=index.shard_bytes[shard_id], sha256=index.shard_sha256[shard_id])

    def _keep_open(self, shard_id: int, file: int) -> None:
        """Keep a file open; if there are too many, close the one opened longest ago."""
        if len(self._files) >= (MAX_OPEN_SHARDS if self._cache is None else MAX_OPEN_COPIES):
            os.close(self._files.pop(next(iter(self._files))))
        self._files[shard_id] = file

    def close(self) -> None:
        """Close the open shards. The reader may be used again and then reopens them."""
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
