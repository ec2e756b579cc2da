"""Which samples to read: the plan of every epoch, cut into the micro-batches of one rank."""

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
    """The global batch to train on next: its epoch, and its number in the epoch."""

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
class MicroBatchSpec:
    """The rows of one micro-batch, and facts about its global batch that the loop needs.

    Attributes:
        rows: Rows of the index, int64 [n].
        position: Position of the global batch.
        number: Number of the micro-batch in its global batch, over all ranks.
        is_last: Whether it ends this rank's part of the global batch.
        global_rows: All rows of the global batch, over all ranks, int64.
        global_tokens: Label tokens of the global batch, over all ranks: the divisor of its loss.
        epoch_ends: Whether the global batch is the last of its epoch.
        shards_ahead: Shards to fetch now, since later micro-batches need them: see :func:`with_lookahead`.
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
        """The position after this global batch."""
        if self.epoch_ends:
            return Position(epoch=self.position.epoch + 1)
        return Position(epoch=self.position.epoch, batch=self.position.batch + 1)


def plan(index: SplitIndex, params: TrainParams, *, seed: int, epoch: int, by_length: bool = True) -> EpochPlan:
    """Plan an epoch; ranks, micro-batches and loader processes do not change the plan."""
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


def micro_batch_specs(  # noqa: PLR0913  # all but the first two are named
    index: SplitIndex,
    params: TrainParams,
    *,
    seed: int,
    start: Position,
    by_length: bool = True,
    share: RankShare = SINGLE_RANK,
) -> Iterator[MicroBatchSpec]:
    """Yield the micro-batches of `share`, from `start` on, through all epochs, without end.

    This is a pure function: stopping anywhere and starting again there gives the same sequence, and with any number of
    ranks each global batch holds the same rows. All ranks have the same number of micro-batches in each global batch.

    Raises:
        LatexifyError: If the ranks cannot share a global batch.
    """
    epoch, first = start.epoch, start.batch
    while True:
        epoch_plan = plan(index, params, seed=seed, epoch=epoch, by_length=by_length)
        for batch in range(first, len(epoch_plan)):
            position = Position(epoch=epoch, batch=batch)
            yield from _cut(epoch_plan, position, micro_batch=params.micro_batch_size, share=share)
        epoch, first = epoch + 1, 0


def _cut(epoch_plan: EpochPlan, position: Position, *, micro_batch: int, share: RankShare) -> Iterator[MicroBatchSpec]:
    batch = position.batch
    parts = epoch_plan.micro_batches(batch, micro_batch=micro_batch, world_size=share.world_size)
    global_tokens = epoch_plan.batch_tokens(batch)
    for number in range(share.rank, len(parts), share.world_size):
        yield MicroBatchSpec(
            rows=parts[number],
            position=position,
            number=number,
            is_last=number + share.world_size >= len(parts),
            global_rows=epoch_plan.rows[batch],
            global_tokens=global_tokens,
            epoch_ends=batch == len(epoch_plan) - 1,
        )


def with_lookahead(
    specs: Iterable[MicroBatchSpec], *, shard_ids: npt.NDArray[np.int32], num_ahead: int
) -> Iterator[MicroBatchSpec]:
    """Yield the same specs, each with the shards that enter a window of `num_ahead` further specs.

    A shard is named again when it had left the window.

    Args:
        specs: Specs in order.
        shard_ids: Shard of each row of the index, int32.
        num_ahead: Specs in the window.
    """
    window: deque[tuple[MicroBatchSpec, list[int]]] = deque()
    num_uses: Counter[int] = Counter()
    entered: list[int] = []
    for spec in specs:
        shards = np.unique(shard_ids[spec.rows]).tolist()
        entered += [shard for shard in shards if not num_uses[shard]]
        num_uses.update(shards)
        window.append((spec, shards))
        if len(window) > num_ahead:
            current, leaving = window.popleft()
            yield replace(current, shards_ahead=tuple(entered))
            num_uses.subtract(leaving)
            entered = []
    for current, _ in window:
        yield current
