"""Which inks must go because they occur more than once: a pure decision over all rows of the catalogue."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from latexify.pipeline.inks.ink import SPLITS

Digests = npt.NDArray[np.uint64]
"""uint64 [num_rows, 2]: 128 bits that stand for a text of any length, so that 100 million rows fit into memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Identities:
    """What tells rows apart, as parallel columns: 33 bytes a row.

    keys: of the key. splits: uint8 [num_rows], positions in `SPLITS`. contents: content hash.
    """

    keys: Digests
    splits: npt.NDArray[np.uint8]
    contents: Digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """The rows to drop.

    rows: int64 [num_dropped], ascending.
    kept: int64 [num_dropped], of each the row that it repeats.
    same_key: bool [num_dropped], whether it repeats the key, not only the strokes.
    """

    rows: npt.NDArray[np.int64]
    kept: npt.NDArray[np.int64]
    same_key: npt.NDArray[np.bool_]


def digests_of(texts: Iterable[str]) -> Digests:
    """128 bits of the BLAKE2b of each text."""
    joined = b"".join(hashlib.blake2b(text.encode(), digest_size=16).digest() for text in texts)
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def identities_of(rows: pa.Table) -> Identities:
    """Of rows with `key`, `split` and `content_hash` of `INK_SCHEMA`."""
    hashes = bytes.fromhex("".join(rows["content_hash"].to_pylist()))
    return Identities(
        keys=digests_of(rows["key"].to_pylist()),
        splits=pc.index_in(rows["split"], pa.array(SPLITS)).to_numpy().astype(np.uint8),
        contents=np.frombuffer(hashes, np.uint64).reshape(-1, 2),
    )


def find_duplicates(keys: Digests, *, splits: npt.NDArray[np.uint8], contents: Digests) -> Duplicates:
    """The rows to drop; the arguments are parallel columns in input order. splits: positions in `SPLITS`.

    - A key that was there before.
    - The same strokes in two splits: they stay in test rather than valid, in valid rather than train, so that nothing
      is judged on what it was trained on.
    - The same strokes twice in train: the first stays. Within valid and test all stay, so that scores have the
      denominators that are published.

    Memory: about 100 bytes a row.
    """
    rows = np.arange(len(keys))
    first = _best_of_equal(keys, rows, order=rows)
    candidates = rows[first == rows]
    # SPLITS stand in the reverse order of precedence
    order = candidates[np.argsort(len(SPLITS) - splits[candidates], kind="stable")]
    kept = _best_of_equal(contents, first, order=order)
    repeats = (kept != rows) & ((splits != splits[kept]) | (splits == SPLITS.index("train")))
    same_key = first != rows
    dropped = rows[same_key | repeats]
    return Duplicates(rows=dropped, kept=kept[dropped], same_key=same_key[dropped])


def _best_of_equal(
    digests: Digests, found: npt.NDArray[np.int64], *, order: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For each row in `order`, the first row in that order with the same digest; for the others what `found` says."""
    grouped = order[np.lexsort((digests[order, 1], digests[order, 0]))]
    is_first = np.ones(len(grouped), np.bool_)
    is_first[1:] = (digests[grouped[1:]] != digests[grouped[:-1]]).any(axis=1)
    best = found.copy()
    best[grouped] = grouped[is_first][np.cumsum(is_first) - 1]
    return best
