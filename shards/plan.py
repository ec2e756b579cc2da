"""The plan of an epoch: which samples, in which order, in which global batch.

A pure function of the index, the seed and the epoch. Ranks and workers take slices of its batches, so that any number
of them sees the same batches, and resuming means to begin at a later batch.
"""

import numpy as np
import numpy.typing as npt

from shards.errors import LatexifyError

LENGTH_JITTER = 0.1
"""Share of its length by which a sample may be taken for longer than it is, where batches are grouped by length."""

Rows = npt.NDArray[np.int64]


def plan_epoch(  # noqa: PLR0913  # two columns of the index, and the five numbers that make a plan
    num_tokens: npt.NDArray[np.int32],
    shard_ids: npt.NDArray[np.int32],
    *,
    seed: int,
    epoch: int,
    global_batch: int,
    window: int = 8192,
    by_length: bool = True,
    short_first: bool = False,
) -> list[Rows]:
    """Plan one epoch over the samples of a split.

    num_tokens, shard_ids: int32 [n], as in `shards.index.SplitIndex`. window: how many samples are mixed at a time;
    rounded down to whole batches, but at least one.

    The shards are shuffled. Windows are cut from their samples in that order, so that a window touches few shards. In a
    window the samples are shuffled, then grouped by length, so that a batch wastes little on padding; without
    `by_length` they are not, and a batch holds all lengths. The batches of a window are shuffled, or, with
    `short_first`, grouped by length in any case, all batches of the epoch run from short labels to long.

    Returns the global batches: int64 [global_batch] row numbers each, in no particular order. No row comes twice. The
    remainder, fewer than `global_batch` samples and others in each epoch, is left out; a split smaller than one batch
    gives one batch of all. Raises LatexifyError where there are no samples.
    """
    num_samples = len(num_tokens)
    if num_samples == 0:
        raise LatexifyError("there are no samples to plan an epoch for")
    bits = np.random.Philox(np.random.SeedSequence((seed, epoch)))
    batch = min(global_batch, num_samples)
    window = max(window // batch, 1) * batch
    order = _shuffle_shards(shard_ids, bits)
    batches: list[Rows] = []
    for start in range(0, num_samples, window):
        mixed = _shuffled(order[start : start + window], bits)
        # dropped before the grouping by length: else it would always be the longest labels that are left out
        mixed = mixed[: len(mixed) // batch * batch]
        if by_length or short_first:
            mixed = _by_length(mixed, num_tokens, bits)
        batches.extend(_shuffled(mixed.reshape(-1, batch), bits))
    if short_first:
        batches.sort(key=lambda rows: (int(num_tokens[rows].max()), int(num_tokens[rows].sum())))
    return batches


def _shuffle_shards(shard_ids: npt.NDArray[np.int32], bits: np.random.Philox) -> Rows:
    """All rows, shard by shard, the shards in random order."""
    names, shard_of_row = np.unique(shard_ids, return_inverse=True)
    place = np.empty(len(names), dtype=np.int64)
    place[_shuffled(np.arange(len(names)), bits)] = np.arange(len(names))
    return np.argsort(place[shard_of_row], kind="stable")


def _by_length(rows: Rows, num_tokens: npt.NDArray[np.int32], bits: np.random.Philox) -> Rows:
    """Rows from short to long, give or take `LENGTH_JITTER`.

    Exactly sorted, a split no larger than the window would make much the same batches in every epoch.
    """
    jitter = bits.random_raw(len(rows)) * (LENGTH_JITTER / 2.0**64)
    return rows[np.argsort(num_tokens[rows] * (1 + jitter), kind="stable")]


def _shuffled(rows: Rows, bits: np.random.Philox) -> Rows:
    """Shuffle along the first axis.

    From raw bits, whose stream NumPy keeps the same for ever; it does not promise that for `Generator.permutation`
    (NEP 19), and a run must resume after an upgrade as it would have gone on before.
    """
    return rows[np.argsort(bits.random_raw(len(rows)), kind="stable")]


def padding_waste(num_tokens: npt.NDArray[np.int32], batches: list[Rows]) -> float:
    """Share of token slots, 0 to 1, that are padding where each batch is padded to its longest label."""
    used = sum(int(num_tokens[rows].sum()) for rows in batches)
    slots = sum(len(rows) * int(num_tokens[rows].max()) for rows in batches)
    return 1 - used / slots
