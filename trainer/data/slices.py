"""What to read: the plan of every epoch, cut into the micro-batches of one rank."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from latexify.shards.format.index import SplitIndex
from latexify.shards.reading.plan import EpochPlan, plan_epoch
from latexify.trainer.config import TrainParams


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in the plan: the global batch to be trained on next."""

    epoch: int = 0
    batch: int = 0


@dataclass(frozen=True, kw_only=True)
class RankShare:
    """Which part of every global batch this process trains on. rank: 0 to world_size - 1."""

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        assert 0 <= self.rank < self.world_size


SINGLE_RANK = RankShare()
"""The share of a process that trains alone."""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows of one micro-batch, and what the loop must know of the global batch that they are cut from.

    rows: int64 [n]. position: of the global batch. number: of the micro-batch among all of its global batch, over all
    ranks. is_last: ends this rank's part of the global batch. global_rows: int64, all rows of the global batch, over
    all ranks. global_tokens: label tokens of the global batch, over all ranks: the divisor of its loss. epoch_ends: the
    global batch is the last of its epoch. shards_ahead: that later slices will be the first to need: see `look_ahead`.
    """

    rows: npt.NDArray[np.int64]
    position: Position
    number: int
    is_last: bool
    global_rows: npt.NDArray[np.int64]
    global_tokens: int
    epoch_ends: bool
    shards_ahead: tuple[int, ...] = ()

    @property
    def next_position(self) -> Position:
        """Where training goes on after this global batch."""
        if self.epoch_ends:
            return Position(epoch=self.position.epoch + 1)
        return Position(epoch=self.position.epoch, batch=self.position.batch + 1)


def plan(index: SplitIndex, params: TrainParams, *, seed: int, epoch: int, by_length: bool = True) -> EpochPlan:
    """The plan of an epoch as `params` want it; ranks, micro-batches and loader processes do not change it."""
    return plan_epoch(
        index.num_tokens,
        index.shard_ids,
        seed=seed,
        epoch=epoch,
        global_batch=params.global_batch,
        window=params.shuffle_window,
        by_length=by_length,
        short_first=epoch < params.curriculum_epochs,
    )


def slices(  # noqa: PLR0913  # all but the first two are named
    index: SplitIndex,
    params: TrainParams,
    *,
    seed: int,
    start: Position,
    by_length: bool = True,
    share: RankShare = SINGLE_RANK,
) -> Iterator[Slice]:
    """The micro-batches of all epochs from `start` on, without end; of `share` the part of each global batch.

    A pure function of its arguments: stopping anywhere and starting again there gives the same sequence, and with any
    number of ranks each global batch holds the same rows. All ranks have as many micro-batches in each global batch.
    Raises LatexifyError where the ranks cannot share a global batch.
    """
    epoch, first = start.epoch, start.batch
    while True:
        of_epoch = plan(index, params, seed=seed, epoch=epoch, by_length=by_length)
        for number in range(first, len(of_epoch)):
            yield from _cut(of_epoch, number, micro_batch=params.micro_batch_size, epoch=epoch, share=share)
        epoch, first = epoch + 1, 0


def look_ahead(found: Iterable[Slice], *, shard_ids: npt.NDArray[np.int32], num_ahead: int) -> Iterator[Slice]:
    """The same slices; each names the shards that come into sight with the one `num_ahead` further on.

    shard_ids: int32, of each row of the index. A shard is named anew when it was out of sight.
    """
    sight: deque[tuple[Slice, list[int]]] = deque()
    seen: Counter[int] = Counter()
    fresh: list[int] = []
    for coming in found:
        shards = np.unique(shard_ids[coming.rows]).tolist()
        fresh += [shard for shard in shards if not seen[shard]]
        seen.update(shards)
        sight.append((coming, shards))
        if len(sight) > num_ahead:
            present, out_of_sight = sight.popleft()
            yield replace(present, shards_ahead=tuple(fresh))
            seen.subtract(out_of_sight)
            fresh = []
    for present, _ in sight:
        yield present


def _cut(of_epoch: EpochPlan, number: int, *, micro_batch: int, epoch: int, share: RankShare) -> Iterator[Slice]:
    parts = of_epoch.micro_batches(number, micro_batch=micro_batch, world_size=share.world_size)
    global_tokens = of_epoch.batch_tokens(number)
    for part in range(share.rank, len(parts), share.world_size):
        yield Slice(
            rows=parts[part],
            position=Position(epoch=epoch, batch=number),
            number=part,
            is_last=part + share.world_size >= len(parts),
            global_rows=of_epoch.rows[number],
            global_tokens=global_tokens,
            epoch_ends=number == len(of_epoch) - 1,
        )
