"""The plan of an epoch: which samples, in which order, in which global batch.

It is a pure function of the index, the seed and the epoch. Ranks and workers take slices of its batches, so any number
of them sees the same batches, and a resumed run starts at a later batch.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError

LENGTH_JITTER = 0.1  # largest random increase of a sample's length, relative to it, when batches are grouped by length
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EpochPlan:
    """The global batches of one epoch: rows of the index and label lengths, [num_batches, global_batch] each.

    The sum of a batch's lengths is the divisor of its loss on every rank, even if a sample of it cannot be read.
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
        """Return the number of label tokens of a global batch, over all ranks."""
        return int(self.num_tokens[batch].sum())

    def micro_batches(self, batch: int, *, micro_batch: int, world_size: int = 1) -> list[Rows]:
        """Cut a global batch into micro-batches; rank r of n takes numbers r, r + n, r + 2n … of them.

        There are as few as `micro_batch`, their largest size, allows, equally many for every rank, and none is empty.
        Their sizes differ by at most one, and their label lengths add up to about the same: sorted by length, the rows
        are dealt forth and back (0 1 2 2 1 0 0 …). Within a micro-batch rows keep the order of the plan. If the number
        of micro-batches suits both, one rank and several compute on the same micro-batches.

        Raises LatexifyError if the ranks cannot share the batch.
        """
        parts = num_micro_batches(self.global_batch, micro_batch=micro_batch, world_size=world_size)
        owner = np.empty(self.global_batch, dtype=np.int64)
        owner[np.argsort(self.num_tokens[batch], kind="stable")] = _dealt(self.global_batch, parts)
        return [self.rows[batch][owner == part] for part in range(parts)]

    def waste(self, *, micro_batch: int) -> float:
        """Return the share of token slots, 0 to 1, that pad each micro-batch to its longest label.

        This is for a single rank; several ranks waste about the same.
        """
        parts = num_micro_batches(self.global_batch, micro_batch=micro_batch)
        by_length = np.sort(self.num_tokens, axis=1)
        owner = _dealt(self.global_batch, parts)
        slots = 0
        for part in range(parts):
            columns = np.flatnonzero(owner == part)
            slots += int(by_length[:, columns[-1]].sum(dtype=np.int64)) * len(columns)
        return 1 - int(self.num_tokens.sum(dtype=np.int64)) / slots


def num_micro_batches(global_batch: int, *, micro_batch: int, world_size: int = 1) -> int:
    """Return the number of micro-batches of every global batch over all ranks, a multiple of `world_size`.

    Raises LatexifyError if a rank would have no sample for a micro-batch, so that the others would wait for ever.
    """
    per_rank = -(-global_batch // (micro_batch * world_size))
    if per_rank * world_size > global_batch:
        raise LatexifyError(
            f"{world_size} ranks cannot share a global batch of {global_batch} samples in micro-batches of "
            f"{micro_batch}: make train.global_batch a multiple of {world_size} (an epoch must hold as many samples), "
            "or start fewer ranks"
        )
    return per_rank * world_size


def batches_by_size(order: Rows, sizes_px: npt.NDArray[np.int32], *, size: int) -> list[Rows]:
    """Cut rows into batches of at most `size`, with pictures of one size each, the largest first, else in this order.

    A model's output depends on the paper around an ink, so that inference must not pad pictures.

    Args:
        order: Rows of the index, int64 [n].
        sizes_px: Height and width of the picture of each row of the index, int32 [num_samples, 2].
        size: Samples in a batch.
    """
    if not len(order):
        return []
    sizes, group_of_row = np.unique(sizes_px[order], axis=0, return_inverse=True)
    largest_first = np.lexsort((sizes[:, 1], sizes.prod(axis=1)))[::-1]
    groups = (order[group_of_row.ravel() == group] for group in largest_first)
    return [group[start : start + size] for group in groups for start in range(0, len(group), size)]


def plan_epoch(  # noqa: PLR0913  # two columns of the index, and the numbers that make a plan
    num_tokens: npt.NDArray[np.int32],
    shard_ids: npt.NDArray[np.int32],
    *,
    seed: int,
    epoch: int,
    global_batch: int,
    window: int = 8192,
    by_length: bool = True,
    short_first: bool = False,
    sizes_px: npt.NDArray[np.int32] | None = None,
) -> EpochPlan:
    """Plan one epoch over the samples of a split; equal arguments give equal plans on every machine.

    The shards are shuffled, and windows are cut from their samples in that order, so that a window touches few shards.
    The samples of a window are shuffled and then grouped into batches by length, which saves padding. The batches of a
    window are shuffled. No row comes twice. The remainder of fewer than `global_batch` samples, different in each
    epoch, is left out; a split smaller than one batch gives one batch of all samples. Raises LatexifyError if there are
    none.

    Args:
        num_tokens: Label length of each sample, int32 [num_samples].
        shard_ids: Shard of each sample, int32 [num_samples].
        seed: Random seed.
        epoch: Number of the epoch; each has another order.
        global_batch: Samples in a batch.
        window: Samples shuffled together; rounded down to whole batches, at least one batch.
        by_length: Whether batches are grouped by length; otherwise a batch holds all lengths.
        short_first: Whether all batches of the epoch run from short labels to long, grouped by length in any case.
        sizes_px: Height and width of each sample's picture, int32 [num_samples, 2]. Where batches are grouped by
            length, pictures of one size come together first, because a batch has the size of its largest. None: all
            are equal.
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
        samples = _shuffled(order[start : start + window], bits)
        # before grouping by length, because otherwise the longest labels would always be left out
        samples = samples[: len(samples) // batch * batch]
        if by_length or short_first:
            samples = _by_length(samples, num_tokens, bits, sizes_px=sizes_px)
        windows.append(_shuffled(samples.reshape(-1, batch), bits))
    rows = np.concatenate(windows)
    lengths = num_tokens[rows]
    if short_first:
        first = np.lexsort((lengths.sum(axis=1, dtype=np.int64), lengths.max(axis=1)))
        rows, lengths = rows[first], lengths[first]
    return EpochPlan(rows=rows, num_tokens=lengths)


def _shuffle_shards(shard_ids: npt.NDArray[np.int32], bits: np.random.Philox) -> Rows:
    """Return all rows, shard by shard, the shards in random order."""
    names, shard_of_row = np.unique(shard_ids, return_inverse=True)
    rank = np.empty(len(names), dtype=np.int64)
    rank[_shuffled(np.arange(len(names)), bits)] = np.arange(len(names))
    return np.argsort(rank[shard_of_row], kind="stable")


def _by_length(
    rows: Rows, num_tokens: npt.NDArray[np.int32], bits: np.random.Philox, *, sizes_px: npt.NDArray[np.int32] | None
) -> Rows:
    """Sort rows by height and width, if sizes differ, and then by length, give or take `LENGTH_JITTER`.

    With exact sorting a split no larger than the window would give almost the same batches in every epoch.
    """
    jitter = bits.random_raw(len(rows)) * (LENGTH_JITTER / 2.0**64)
    lengths = num_tokens[rows] * (1 + jitter)
    if sizes_px is None:
        return rows[np.argsort(lengths, kind="stable")]
    heights, widths = sizes_px[rows].T
    return rows[np.lexsort((lengths, widths, heights))]


def _shuffled(rows: Rows, bits: np.random.Philox) -> Rows:
    """Shuffle along the first axis.

    This uses raw bits, whose stream NumPy guarantees for ever. It does not guarantee `Generator.permutation` (NEP 19),
    and a run that resumes after an upgrade must continue with the same order.
    """
    return rows[np.argsort(bits.random_raw(len(rows)), kind="stable")]


def _dealt(num_samples: int, parts: int) -> Rows:
    """Return the part of each sample, from the shortest to the longest (0 1 2 2 1 0 0 …)."""
    turn, seat = divmod(np.arange(num_samples), parts)
    return np.where(turn % 2 == 0, seat, parts - 1 - seat)
