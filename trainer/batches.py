"""Micro-batches from shards: the plan of the epochs, cut up, read and padded by loader processes.

The order comes from the plan alone, so the number of processes changes the speed and nothing else.
"""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from shards.errors import LatexifyError
from shards.index import SplitIndex
from shards.plan import plan_epoch
from shards.reader import SampleReader
from shards.sample import Sample
from trainer.config import TrainParams

IGNORED = -100
"""Label of a padded position, left out of the loss; `torch.nn.functional.cross_entropy` calls it `ignore_index`."""

PREFETCHED = 4
"""Micro-batches that each loader process prepares ahead."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in the plan: the global batch to be trained on next."""

    epoch: int = 0
    batch: int = 0


@dataclass(frozen=True, kw_only=True)
class Slice:
    """The rows of one micro-batch, and what the loop must know of the global batch that they are cut from.

    rows: int64 [n]. position: of the global batch. is_last: ends the global batch. global_rows: int64, all rows of the
    global batch. global_tokens: label tokens of the global batch, the divisor of its loss. epoch_ends: the global batch
    is the last of its epoch.
    """

    rows: npt.NDArray[np.int64]
    position: Position
    is_last: bool
    global_rows: npt.NDArray[np.int64]
    global_tokens: int
    epoch_ends: bool

    @property
    def next_position(self) -> Position:
        """Where training goes on after this global batch."""
        if self.epoch_ends:
            return Position(epoch=self.position.epoch + 1)
        return Position(epoch=self.position.epoch, batch=self.position.batch + 1)


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Samples of one forward pass.

    pixels: uint8 [batch, height, width], ink 0, paper 255. labels: int64 [batch, longest], padded with `IGNORED`.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    slice: Slice

    def pin_memory(self) -> "MicroBatch":
        """Called by the loader for CUDA: page-locked memory, from which copies do not block."""
        return replace(self, pixels=self.pixels.pin_memory(), labels=self.labels.pin_memory())


def collate(samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack samples: pixels uint8 [n, height, width] and labels int64 [n, longest], padded with `IGNORED`."""
    labels = np.full((len(samples), max(len(sample.token_ids) for sample in samples)), IGNORED, dtype=np.int64)
    for row, sample in zip(labels, samples, strict=True):
        row[: len(sample.token_ids)] = sample.token_ids
    return torch.from_numpy(np.stack([sample.pixels for sample in samples])), torch.from_numpy(labels)


def slices(
    index: SplitIndex, params: TrainParams, *, seed: int, start: Position, by_length: bool = True
) -> Iterator[Slice]:
    """The micro-batches of all epochs from `start` on, without end.

    A pure function of its arguments: stopping anywhere and starting again there gives the same sequence.
    """
    epoch, first = start.epoch, start.batch
    while True:
        batches = plan_epoch(
            index.num_tokens,
            index.shard_ids,
            seed=seed,
            epoch=epoch,
            global_batch=params.global_batch,
            by_length=by_length,
            short_first=epoch < params.curriculum_epochs,
        )
        for number in range(first, len(batches)):
            yield from _cut(
                batches[number],
                index,
                micro_batch=params.micro_batch,
                position=Position(epoch=epoch, batch=number),
                epoch_ends=number == len(batches) - 1,
            )
        epoch, first = epoch + 1, 0


def _cut(
    rows: npt.NDArray[np.int64], index: SplitIndex, *, micro_batch: int, position: Position, epoch_ends: bool
) -> Iterator[Slice]:
    global_tokens = int(index.num_tokens[rows].sum())
    for begin in range(0, len(rows), micro_batch):
        yield Slice(
            rows=rows[begin : begin + micro_batch],
            position=position,
            is_last=begin + micro_batch >= len(rows),
            global_rows=rows,
            global_tokens=global_tokens,
            epoch_ends=epoch_ends,
        )


class _Shards(Dataset[MicroBatch | LatexifyError]):
    """Reads a slice; an item of this data set is a whole micro-batch.

    A damaged sample comes back as the error that names it: raised in a loader process, it would reach the user as a
    traceback in text.
    """

    def __init__(self, index: SplitIndex) -> None:
        self._reader = SampleReader(index)

    def __getitem__(self, slice_: Slice) -> MicroBatch | LatexifyError:
        try:
            pixels, labels = collate(self._reader.read(slice_.rows))
        except LatexifyError as error:
            return error
        return MicroBatch(pixels=pixels, labels=labels, slice=slice_)


class _Slices:
    """The sampler: what to read next. An object rather than a generator, since the loader asks for an iterable."""

    def __init__(self, index: SplitIndex, params: TrainParams, *, seed: int, start: Position, by_length: bool) -> None:
        self._arguments = (index, params, seed, start, by_length)

    def __iter__(self) -> Iterator[Slice]:
        index, params, seed, start, by_length = self._arguments
        return slices(index, params, seed=seed, start=start, by_length=by_length)


def open_loader(  # noqa: PLR0913  # all but the first two are named
    index: SplitIndex, params: TrainParams, *, seed: int, start: Position, pin_memory: bool, by_length: bool = True
) -> DataLoader[MicroBatch | LatexifyError]:
    """An endless loader of micro-batches in the order of the plan, read by `params.loader_workers` processes.

    In place of a micro-batch with a damaged sample stands the error that names it.
    """
    return DataLoader(
        _Shards(index),
        batch_size=None,
        sampler=_Slices(index, params, seed=seed, start=start, by_length=by_length),
        num_workers=params.loader_workers,
        prefetch_factor=PREFETCHED if params.loader_workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_parent,
    )


def close_loader(batches: Iterator[MicroBatch | LatexifyError]) -> None:
    """End the loader processes of an iterator over :func:`open_loader`.

    Whoever leaves the iterator before its end must call this, also on an error: Python would otherwise send them a
    SIGTERM when it exits, which they ignore, and wait for them for ever.
    """
    if isinstance(batches, _MultiProcessingDataLoaderIter):
        batches._shutdown_workers()  # noqa: SLF001  # torch has no public way


def _leave_signals_to_parent(_worker: int) -> None:
    """Ctrl-C reaches the whole process group, and so does a scheduler's SIGTERM: only the parent shall act on them.

    It needs its loader processes until the checkpoint is written. They end when `close_loader` tells them to or, should
    the parent be killed, when torch's watchdog notices. (torch itself sets one thread in its loader processes.)
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
