"""Which samples to read: the plan of every epoch, cut into the micro-batches of one rank."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from latexify.shards.format.index import SplitIndex
from latexify.shards.reading.mixture import Draw, Mixture
from latexify.shards.reading.plan import EpochPlan, plan_epoch
from latexify.trainer.config import TrainParams
from latexify.trainer.loop.ranks import SINGLE_RANK, Ranks


@dataclass(frozen=True, kw_only=True)
class Position:
    """The global batch to train on next: its epoch, and its number in the epoch."""

    epoch: int = 0
    batch: int = 0


@dataclass(frozen=True, kw_only=True)
class MicroBatchSpec:
    """The rows of one micro-batch, and facts about its global batch, over all ranks, that the loop needs."""

    rows: npt.NDArray[np.int64]  # of the index, [n]
    visits: npt.NDArray[np.int64]  # how often each was drawn before, [n]: without weights, the epoch
    position: Position  # of the global batch
    number: int  # of the micro-batch in its global batch
    is_last: bool  # whether it ends this rank's part of the global batch
    global_rows: npt.NDArray[np.int64]  # all rows of the global batch
    global_tokens: int  # label tokens of the global batch: the divisor of its loss
    epoch_ends: bool  # whether the global batch is the last of its epoch
    shards_ahead: tuple[int, ...] = ()  # to fetch now, since later micro-batches need them: see `with_lookahead`

    @property
    def next_position(self) -> Position:
        """The position after this global batch."""
        if self.epoch_ends:
            return Position(epoch=self.position.epoch + 1)
        return Position(epoch=self.position.epoch, batch=self.position.batch + 1)


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The samples of one epoch, and their batches. Rows of `batches` are positions among the samples drawn."""

    draw: Draw
    batches: EpochPlan


def samples_per_batch(index: SplitIndex, params: TrainParams, mixture: Mixture | None = None) -> int:
    """Return the samples of a global batch: fewer than `train.global_batch` if an epoch has fewer."""
    return min(params.global_batch, len(index) if mixture is None else mixture.smallest_epoch)


def plan(  # noqa: PLR0913  # all but the first two are named
    index: SplitIndex,
    params: TrainParams,
    *,
    seed: int,
    epoch: int,
    by_length: bool = True,
    mixture: Mixture | None = None,
) -> Epoch:
    """Plan an epoch; ranks, micro-batches and loader processes do not change the plan."""
    if mixture is None:
        draw = Draw(rows=np.arange(len(index)), visits=np.full(len(index), epoch))
    else:
        draw = mixture.draw(seed=seed, epoch=epoch)
    batches = plan_epoch(
        index.num_tokens[draw.rows],
        index.shard_ids[draw.rows],
        seed=seed,
        epoch=epoch,
        global_batch=samples_per_batch(index, params, mixture),
        window=params.shuffle_window,
        by_length=by_length,
        short_first=epoch < params.curriculum_epochs,
        sizes_px=index.sizes_px[draw.rows] if index.has_sizes else None,
    )
    return Epoch(draw=draw, batches=batches)


def micro_batch_specs(  # noqa: PLR0913  # all but the first two are named
    index: SplitIndex,
    params: TrainParams,
    *,
    seed: int,
    start: Position,
    by_length: bool = True,
    ranks: Ranks = SINGLE_RANK,
    mixture: Mixture | None = None,
) -> Iterator[MicroBatchSpec]:
    """Yield the micro-batches of this rank, from `start` on, through all epochs, without end.

    This is a pure function: stopping anywhere and starting again there gives the same sequence, and with any number of
    ranks each global batch holds the same rows. All ranks have the same number of micro-batches in each global batch.
    `mixture` is the weights of several datasets. Raises LatexifyError if the ranks cannot share a global batch.
    """
    epoch, first = start.epoch, start.batch
    while True:
        planned = plan(index, params, seed=seed, epoch=epoch, by_length=by_length, mixture=mixture)
        for batch in range(first, len(planned.batches)):
            position = Position(epoch=epoch, batch=batch)
            yield from _cut(planned, position, micro_batch=params.micro_batch_size, ranks=ranks)
        epoch, first = epoch + 1, 0


def _cut(planned: Epoch, position: Position, *, micro_batch: int, ranks: Ranks) -> Iterator[MicroBatchSpec]:
    batch, draw, batches = position.batch, planned.draw, planned.batches
    parts = batches.micro_batches(batch, micro_batch=micro_batch, world_size=ranks.world_size)
    global_tokens = batches.batch_tokens(batch)
    for number in range(ranks.rank, len(parts), ranks.world_size):
        yield MicroBatchSpec(
            rows=draw.rows[parts[number]],
            visits=draw.visits[parts[number]],
            position=position,
            number=number,
            is_last=number + ranks.world_size >= len(parts),
            global_rows=draw.rows[batches.rows[batch]],
            global_tokens=global_tokens,
            epoch_ends=batch == len(batches) - 1,
        )


def with_lookahead(
    specs: Iterable[MicroBatchSpec], *, shard_ids: npt.NDArray[np.int32], num_ahead: int
) -> Iterator[MicroBatchSpec]:
    """Yield the same specs, each with the shards that enter a window of `num_ahead` further specs.

    A shard is named again when it had left the window. shard_ids: shard of each row of the index.
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
