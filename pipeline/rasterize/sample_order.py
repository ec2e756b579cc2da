"""Which sample stands in which shard, at which place."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.names import COMPOSED_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.rasterize.variants import VARIANT_MARK, variant_key

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardRows:
    """The samples of one shard, in order. rows: int64 [n], of the scratch file. variants: int32 [n], 0 is plain."""

    split: str
    number: int
    rows: npt.NDArray[np.int64]
    variants: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleKeys:
    """What the order of some inks' samples follows from, by split.

    rows: int64 [n], of the batch. variants: int32 [n], 0 is plain. digests: of the samples' keys. keys: string [n];
    none for training.
    """

    rows: dict[str, npt.NDArray[np.int64]]
    variants: dict[str, npt.NDArray[np.int32]]
    digests: dict[str, bytes]
    keys: dict[str, pa.Array]


def keys_of_samples(inks: pa.RecordBatch, *, variants: int) -> SampleKeys:
    """Take the keys of inks (`key`, `split` and `source` of `INK_SCHEMA`).

    Of each ink for training that a person wrote there are so many `variants`. Composed inks have one: there may be any
    number of them, each another. Raises LatexifyError that names an ink of an unknown split, or one whose key reads
    like that of a variant.
    """
    _require_known(inks, variants=variants)
    composed = pc.starts_with(inks["source"], f"{COMPOSED_NAME}/").to_numpy(zero_copy_only=False)
    rows, numbers, digests, keys = {}, {}, {}, {}
    for split in SPLITS:
        chosen = pc.equal(inks["split"], split)
        own_rows, own_keys = np.flatnonzero(chosen.to_numpy(zero_copy_only=False)), inks["key"].filter(chosen)
        counts = np.where(composed[own_rows] | (split != "train"), 1, variants)
        rows[split] = np.repeat(own_rows, counts)
        numbers[split] = (np.arange(len(rows[split])) - np.repeat(np.cumsum(counts) - counts, counts)).astype(np.int32)
        digests[split] = b"".join(_digests_of(own_keys, counts=counts.tolist()))
        keys[split] = own_keys if split != "train" else own_keys.slice(0, 0)
    return SampleKeys(rows=rows, variants=numbers, digests=digests, keys=keys)


def _require_known(inks: pa.RecordBatch, *, variants: int) -> None:
    strange = inks.filter(pc.invert(pc.is_in(inks["split"], pa.array(SPLITS))))
    if len(strange):
        key, split = strange["key"][0].as_py(), strange["split"][0].as_py()
        raise LatexifyError(f"ink {key!r} is of split {split!r}, known are {', '.join(SPLITS)}: run ingest again")
    marked = inks["key"].filter(pc.match_substring(inks["key"], VARIANT_MARK))
    if variants > 1 and len(marked):
        raise LatexifyError(
            f"ink {marked[0].as_py()!r}: {VARIANT_MARK} in a key marks variants of an ink: "
            "percent-encode it when the inks are made, or set rasterize.variants to 1"
        )


@dataclass(kw_only=True, eq=False)
class SampleOrder:
    """Gathers the keys of all inks, and puts their samples in order.

    Evaluation splits stand in the order of their keys, so that a person finds a sample; training in the order of the
    hashes of its samples' keys, so that every shard holds a mixture of all sources and writers, and variants of an ink
    lie far apart. Of a sample some 30 bytes are kept, of one for evaluation also the key.
    """

    _digests: dict[str, list[bytes]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    _rows: dict[str, list[npt.NDArray[np.int64]]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    _variants: dict[str, list[npt.NDArray[np.int32]]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    _keys: dict[str, list[pa.Array]] = field(default_factory=lambda: {split: [] for split in SPLITS})

    def add(self, samples: SampleKeys, *, first_row: int) -> None:
        """Add inks that stand in the scratch files from `first_row` on."""
        for split in SPLITS:
            self._rows[split].append(samples.rows[split] + first_row)
            self._variants[split].append(samples.variants[split])
            self._digests[split].append(samples.digests[split])
            if split != "train":
                self._keys[split].append(samples.keys[split])

    def repeated_row(self) -> int | None:
        """The row of an ink whose key another has too; None where all differ."""
        digests = np.concatenate([self._digests_in(split) for split in SPLITS])
        order = _order_of(digests)
        equal = np.flatnonzero((digests[order[1:]] == digests[order[:-1]]).all(axis=1))
        if not len(equal):
            return None
        rows = [self._rows_in(split) for split in SPLITS]
        return int(np.concatenate(rows)[order[equal[0] + 1]])

    def shards(self, *, samples_per_shard: int) -> list[ShardRows]:
        """All shards, by split and number."""
        found = []
        for split in SPLITS:
            rows, variants = self._train_samples() if split == "train" else self._evaluation_samples(split)
            for number, start in enumerate(range(0, len(rows), samples_per_shard)):
                part = slice(start, start + samples_per_shard)
                found.append(ShardRows(split=split, number=number, rows=rows[part], variants=variants[part]))
        return found

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
        return np.frombuffer(b"".join(self._digests[split]), dtype=">u8").reshape(-1, _DIGEST_BYTES // 8)


def _digests_of(keys: pa.Array, *, counts: list[int]) -> Iterator[bytes]:
    for key, count in zip(keys.to_pylist(), counts, strict=True):
        for variant in range(count):
            yield hashlib.blake2b(variant_key(key, variant).encode(), digest_size=_DIGEST_BYTES).digest()


def _order_of(digests: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
    """The order in which the digests would stand if they were sorted as bytes."""
    return np.lexsort((digests[:, 1], digests[:, 0]))
