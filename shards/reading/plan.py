"""The plan of an epoch: which samples, in which order, in which global batch.

A pure function of the index, the seed and the epoch. Ranks and workers take slices of its batches, so that any number
of them sees the same batches, and resuming means to begin at a later batch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError

LENGTH_JITTER = 0.1
"""Share of its length by which a sample may be taken for longer than it is, where batches are grouped by length."""

DEFAULT_WINDOW = 8192
"""Samples mixed at a time."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpochPlan:
    """The global batches of one epoch.

    rows: int64 [num_batches, global_batch], row numbers of the index. num_tokens: int32 of the same shape, the lengths
    of their labels; the sum over a batch is the divisor of its loss, on whichever rank and even if a sample of it
    cannot be read.
    """

    rows: Rows
    num_tokens: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def global_batch(self) -> int:
        """Samples in every batch."""
        return int(self.rows.shape[1])

    def batch_tokens(self, batch: int) -> int:
        """Label tokens of a global batch, over all ranks."""
        return int(self.num_tokens[batch].sum())

    def micro_batches(self, batch: int, *, micro_batch: int, world_size: int = 1) -> list[Rows]:
        """A global batch, cut into micro-batches; rank r of n takes number r, r + n, r + 2n … of them.

        As few as `micro_batch` allows, as many for every rank, none empty; equal in size, give or take one, and labels
        as long in sum: sorted by length, the rows are dealt forth and back (0 1 2 2 1 0 0 …); within a micro-batch they
        keep the order of the plan. They are cut before they are dealt out to ranks: where their number suits both, one
        rank and several compute on the very same ones.

        Raises LatexifyError where the ranks cannot share the batch.
        """
        parts = num_micro_batches(self.global_batch, micro_batch=micro_batch, world_size=world_size)
        owner = _dealt(self.global_batch, parts)[_places(self.num_tokens[batch])]
        return [self.rows[batch][owner == part] for part in range(parts)]

    def waste(self, *, micro_batch: int) -> float:
        """Share of token slots, 0 to 1, that are padding where each micro-batch is padded to its longest label.

        For a single rank; several waste much the same.
        """
        parts = num_micro_batches(self.global_batch, micro_batch=micro_batch)
        by_length = np.sort(self.num_tokens, axis=1)
        owner = _dealt(self.global_batch, parts)
        slots = 0
        for part in range(parts):
            places = np.flatnonzero(owner == part)
            slots += int(by_length[:, places[-1]].sum(dtype=np.int64)) * len(places)
        return 1 - int(self.num_tokens.sum(dtype=np.int64)) / slots


def num_micro_batches(global_batch: int, *, micro_batch: int, world_size: int = 1) -> int:
    """Micro-batches of every global batch, over all ranks: a multiple of `world_size`.

    Raises LatexifyError where a rank would have no sample for one of them, and the others wait for it for ever.
    """
    of_each_rank = -(-global_batch // (micro_batch * world_size))
    if of_each_rank * world_size > global_batch:
        raise LatexifyError(
            f"{world_size} ranks cannot share a global batch of {global_batch} samples in micro-batches of "
            f"{micro_batch}: make train.global_batch a multiple of {world_size} (an epoch must hold as many samples), "
            "or start fewer ranks"
        )
    return of_each_rank * world_size


def plan_epoch(  # noqa: PLR0913  # two columns of the index, and the numbers that make a plan
    num_tokens: npt.NDArray[np.int32],
    shard_ids: npt.NDArray[np.int32],
    *,
    seed: int,
    epoch: int,
    global_batch: int,
    window: int = DEFAULT_WINDOW,
    by_length: bool = True,
    short_first: bool = False,
) -> EpochPlan:
    """Plan one epoch over the samples of a split.

    num_tokens, shard_ids: int32 [n], as in `latexify.shards.format.index.SplitIndex`. window: how many samples are mixed at a time;
    rounded down to whole batches, but at least one.

    The shards are shuffled. Windows are cut from their samples in that order, so that a window touches few shards. In a
    window the samples are shuffled, then grouped by length, so that a batch wastes little on padding; without
    `by_length` they are not, and a batch holds all lengths. The batches of a window are shuffled, or, with
    `short_first`, grouped by length in any case, all batches of the epoch run from short labels to long.

    No row comes twice. The remainder, fewer than `global_batch` samples and others in each epoch, is left out; a split
    smaller than one batch gives one batch of all. Raises LatexifyError where there are no samples.
    """
    num_samples = len(num_tokens)
    if num_samples == 0:
        raise LatexifyError("there are no samples to plan an epoch for")
    bits = np.random.Philox(np.random.SeedSequence((seed, epoch)))
    batch = min(global_batch, num_samples)
    window = max(window // batch, 1) * batch
    order = _shuffle_shards(shard_ids, bits)
    windows = []
    for start in range(0, num_samples, window):
        mixed = _shuffled(order[start : start + window], bits)
        # dropped before the grouping by length: else it would always be the longest labels that are left out
        mixed = mixed[: len(mixed) // batch * batch]
        if by_length or short_first:
            mixed = _by_length(mixed, num_tokens, bits)
        windows.append(_shuffled(mixed.reshape(-1, batch), bits))
    rows = np.concatenate(windows)
    lengths = num_tokens[rows]
    if short_first:
        first = np.lexsort((lengths.sum(axis=1, dtype=np.int64), lengths.max(axis=1)))
        rows, lengths = rows[first], lengths[first]
    return EpochPlan(rows=rows, num_tokens=lengths)


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


def _dealt(num_samples: int, parts: int) -> Rows:
    """To which part each sample goes, from the shortest to the longest (0 1 2 2 1 0 0 …)."""
    turn, seat = divmod(np.arange(num_samples), parts)
    return np.where(turn % 2 == 0, seat, parts - 1 - seat)


def _places(lengths: npt.NDArray[np.int32]) -> Rows:
    """The place of each sample when they stand in order of length."""
    places = np.empty(len(lengths), dtype=np.int64)
    places[np.argsort(lengths, kind="stable")] = np.arange(len(lengths))
    return places
