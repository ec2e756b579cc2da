"""Batches from shards: loader processes read and pad micro-batches, ranks agree on each global batch.

The order comes from `latexify.trainer.data.specs` alone, so the number of loader processes only changes the speed.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from latexify.artifacts.location import is_local
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex
from latexify.shards.reading.cache import ShardCache
from latexify.shards.reading.mixture import Mixture
from latexify.shards.reading.plan import num_micro_batches
from latexify.shards.reading.reader import DamagedSampleError, SampleReader
from latexify.trainer.config import TrainParams
from latexify.trainer.data.collate import IGNORE_INDEX, pad_labels
from latexify.trainer.data.loader_processes import ignore_signals
from latexify.trainer.data.specs import MicroBatchSpec, Position, micro_batch_specs, samples_per_batch, with_lookahead
from latexify.trainer.loop.ranks import SINGLE_RANK, Ranks

PREFETCHED = 4
"""Micro-batches that each loader process prepares ahead."""
LOOKAHEAD_SAMPLES = 2048
"""Remote shards are fetched this many samples before they are read: a few seconds of training."""


@dataclass(frozen=True, kw_only=True)
class SampleDamage:
    """A sample that could not be read."""

    row: int  # in the index
    reason: str  # one line that names shard and key


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Samples of one forward pass.

    Damaged samples stay in the batch as empty paper with a label of `IGNORE_INDEX` only. That adds nothing to the loss,
    and its divisor is still the planned one, the same on every rank.
    """

    pixels: torch.Tensor  # uint8 [batch, height, width], ink 0, paper 255
    labels: torch.Tensor  # int64 [batch, longest], padded with `IGNORE_INDEX`
    spec: MicroBatchSpec
    damaged: tuple[SampleDamage, ...] = ()

    def __reduce__(self) -> tuple[Callable[..., "MicroBatch"], tuple[Any, ...]]:
        """Pickle for the way out of a loader process: labels as an array, since a tensor needs a file of its own."""
        return _rebuild, (self.pixels, self.labels.numpy(), self.spec, self.damaged)

    def pin_memory(self) -> "MicroBatch":
        """Copy to page-locked memory, from which copies to a GPU do not block; the loader calls it for CUDA."""
        return replace(self, pixels=self.pixels.pin_memory(), labels=self.labels.pin_memory())


def _rebuild(
    pixels: torch.Tensor, labels: npt.NDArray[np.int64], spec: MicroBatchSpec, damaged: tuple[SampleDamage, ...]
) -> MicroBatch:
    return MicroBatch(pixels=pixels, labels=torch.from_numpy(labels), spec=spec, damaged=damaged)


class _MicroBatches(Dataset[MicroBatch | LatexifyError]):
    """Reads whole micro-batches by their specs.

    An unreadable shard gives an error as the item: raised in a loader process, it would reach the user as a traceback.
    """

    def __init__(self, index: SplitIndex) -> None:
        self._index = index
        self._reader = SampleReader(index)

    def __getitem__(self, spec: MicroBatchSpec) -> MicroBatch | LatexifyError:
        index, rows = self._index, spec.rows
        self._reader.prefetch(spec.shards_ahead)
        pictures = _empty_pictures(len(rows), *index.largest_px(rows))
        pixels = pictures.numpy()
        try:
            samples = self._reader.read_or_reject(rows, pixels=pixels)
        except LatexifyError as error:
            return error
        damaged, token_ids = [], []
        for i, (row, sample) in enumerate(zip(rows.tolist(), samples, strict=True)):
            if isinstance(sample, DamagedSampleError):
                damaged.append(SampleDamage(row=row, reason=str(sample)))
                pixels[i] = 255
                # as long as the damaged label, so that the micro-batch keeps its shape
                token_ids.append(np.full(index.num_tokens[row], IGNORE_INDEX, dtype=np.int32))
            else:
                token_ids.append(sample.token_ids)
        return MicroBatch(pixels=pictures, labels=pad_labels(token_ids), spec=spec, damaged=tuple(damaged))


def _empty_pictures(*shape: int) -> torch.Tensor:
    """Allocate uint8 pictures; in a loader process in memory shared with its parent, which saves a copy."""
    pictures = torch.empty(shape, dtype=torch.uint8)
    return pictures if get_worker_info() is None else pictures.share_memory_()  # type: ignore[no-untyped-call]  # torch has no types for it


class _SpecSampler:
    """An iterable, as the loader asks for, that starts a generator anew for each iteration."""

    def __init__(self, make: Callable[[], Iterator[MicroBatchSpec]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[MicroBatchSpec]:
        return self._make()


def open_loader(  # noqa: PLR0913  # all but the first two are named
    index: SplitIndex,
    params: TrainParams,
    *,
    seed: int,
    start: Position,
    pin_memory: bool,
    by_length: bool = True,
    ranks: Ranks = SINGLE_RANK,
    mixture: Mixture | None = None,
) -> DataLoader[MicroBatch | LatexifyError]:
    """Open an endless loader of micro-batches in the order of :func:`micro_batch_specs`.

    For training on several ranks, each opens its own loader with its `ranks`, and divides its token losses by
    `spec.global_tokens`. The *sum* of such gradients over the ranks is that of the whole global batch, so the result of
    DistributedDataParallel, which averages them, must be multiplied by the world size.

    A damaged sample is named in its micro-batch; an unreadable shard gives a LatexifyError in place of the micro-batch.
    Raises LatexifyError if the ranks cannot share a global batch.

    Args:
        index: The samples.
        params: Parameters of the run; `loader_workers` processes read.
        seed: Seed of the order.
        start: Where to start in the plan.
        pin_memory: Whether to put batches into page-locked memory, for CUDA.
        by_length: Whether batches hold labels of like length.
        ranks: This process among all; it reads its part of each global batch.
        mixture: The weights of several datasets; None: each sample comes once an epoch.
    """
    num_ahead = _num_ahead(index, params)

    def specs() -> Iterator[MicroBatchSpec]:
        found = micro_batch_specs(
            index, params, seed=seed, start=start, by_length=by_length, ranks=ranks, mixture=mixture
        )
        return with_lookahead(found, shard_ids=index.shard_ids, num_ahead=num_ahead) if num_ahead else found

    batch = samples_per_batch(index, params, mixture)
    num_micro_batches(batch, micro_batch=params.micro_batch_size, world_size=ranks.world_size)  # raises the error
    return DataLoader(
        _MicroBatches(index),
        batch_size=None,
        sampler=_SpecSampler(specs),
        num_workers=params.loader_workers,
        prefetch_factor=PREFETCHED if params.loader_workers else None,
        pin_memory=pin_memory,
        worker_init_fn=ignore_signals,
    )


def _num_ahead(index: SplitIndex, params: TrainParams) -> int:
    """Micro-batches to look ahead for shards to fetch; 0 for local shards, or if the cache has no room for more."""
    if is_local(index.folder):
        return 0
    in_window = params.shuffle_window * len(index.shards) // len(index) + 2
    if 2 * in_window * max(index.shard_bytes) > ShardCache.from_environment().limit_bytes:
        return 0
    return max(1, LOOKAHEAD_SAMPLES // params.micro_batch_size)


@dataclass(frozen=True, kw_only=True)
class GlobalBatch:
    """This rank's part of a global batch, and facts about the whole that all ranks share."""

    micro_batches: list[MicroBatch]  # this rank's part
    wait_s: float  # how long this rank waited for it
    damaged: list[SampleDamage]  # in the whole batch
    stop: bool  # whether a rank was asked to stop
    time_limit_reached: bool  # whether a rank has trained for as long as it may

    @property
    def spec(self) -> MicroBatchSpec:
        """The spec of the last micro-batch; what it says of the global batch holds for all of them."""
        return self.micro_batches[-1].spec


def next_batch(
    batches: Iterator[MicroBatch | LatexifyError], *, ranks: Ranks, stop: bool, time_limit_reached: bool
) -> GlobalBatch:
    """Read this rank's part of the next global batch and exchange facts with the other ranks.

    All of it is read before any of it is trained on: once gradients are being exchanged, a rank without its part would
    leave the others waiting. `stop` and `time_limit_reached` are about this rank. Raises LatexifyError, on every rank,
    if one of them cannot read its part.
    """
    started = time.perf_counter()
    micro_batches: list[MicroBatch] = []
    error = None
    for batch in batches:
        if isinstance(batch, LatexifyError):
            error = batch
            break
        micro_batches.append(batch)
        if batch.spec.is_last:
            break
    wait_s = time.perf_counter() - started
    damaged = [damage for batch in micro_batches for damage in batch.damaged]
    counts = ranks.sums([error is not None, len(damaged), stop, time_limit_reached])
    num_errors, num_damaged, num_stops, num_time_limits = counts
    if num_errors:
        ranks.raise_first(error)
    if num_damaged:
        damaged = [damage for part in ranks.gather(damaged) for damage in part]
    return GlobalBatch(
        micro_batches=micro_batches,
        wait_s=wait_s,
        damaged=damaged,
        stop=bool(num_stops),
        time_limit_reached=bool(num_time_limits),
    )
