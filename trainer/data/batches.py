"""Micro-batches from shards, read and padded by loader processes.

The order comes from `latexify.trainer.data.slices` alone, so the number of processes changes the speed and nothing else.
"""

import math
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from latexify.artifacts.location import is_local
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex
from latexify.shards.format.sample import Sample
from latexify.shards.reading.cache import ShardCache
from latexify.shards.reading.plan import num_micro_batches
from latexify.shards.reading.reader import DamagedSampleError, SampleReader
from latexify.trainer.config import TrainParams
from latexify.trainer.data.slices import SINGLE_RANK, Position, RankShare, Slice, look_ahead, slices

IGNORED = -100
"""Label of a padded position, left out of the loss; `torch.nn.functional.cross_entropy` calls it `ignore_index`."""

PREFETCHED = 4
"""Micro-batches that each loader process prepares ahead."""

AHEAD_SAMPLES = 2048
"""How far before they are read remote shards are fetched: a few seconds of training."""


@dataclass(frozen=True, kw_only=True)
class Damage:
    """A sample that could not be read. row: of the index. reason: one line that names shard and key."""

    row: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """Samples of one forward pass.

    pixels: uint8 [batch, height, width], ink 0, paper 255. labels: int64 [batch, longest], padded with `IGNORED`.
    damaged: the samples that keep their place as an empty paper whose label is all `IGNORED`. They cost nothing and
    teach nothing; the divisor of the loss stays what the plan says, so that it is the same on every rank.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    slice: Slice
    damaged: tuple[Damage, ...] = ()

    def __reduce__(self) -> tuple[Callable[..., "MicroBatch"], tuple[Any, ...]]:
        """On its way from a loader process: a few labels as they are, as each tensor takes a file and a connection."""
        return _rebuild, (self.pixels, self.labels.numpy(), self.slice, self.damaged)

    def pin_memory(self) -> "MicroBatch":
        """Called by the loader for CUDA: page-locked memory, from which copies do not block."""
        return replace(self, pixels=self.pixels.pin_memory(), labels=self.labels.pin_memory())


def _rebuild(
    pixels: torch.Tensor, labels: npt.NDArray[np.int64], slice_: Slice, damaged: tuple[Damage, ...]
) -> MicroBatch:
    return MicroBatch(pixels=pixels, labels=torch.from_numpy(labels), slice=slice_, damaged=damaged)


def collate(samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stack samples: pixels uint8 [n, height, width] and labels int64 [n, longest], padded with `IGNORED`."""
    labels = pad_labels([sample.token_ids for sample in samples])
    return torch.from_numpy(np.stack([sample.pixels for sample in samples])), labels


def pad_labels(token_ids: Sequence[npt.NDArray[np.int32]]) -> torch.Tensor:
    """Stack token ids, int32 [num_tokens] each: int64 [n, longest], padded with `IGNORED`."""
    labels = np.full((len(token_ids), max(map(len, token_ids))), IGNORED, dtype=np.int64)
    for row, ids in zip(labels, token_ids, strict=True):
        row[: len(ids)] = ids
    return torch.from_numpy(labels)


class _Shards(Dataset[MicroBatch | LatexifyError]):
    """Reads a slice; an item of this data set is a whole micro-batch.

    A shard that cannot be read comes back as the error that names it: raised in a loader process, it would reach the
    user as a traceback in text.
    """

    def __init__(self, index: SplitIndex) -> None:
        self._index = index
        self._reader = SampleReader(index)

    def __getitem__(self, slice_: Slice) -> MicroBatch | LatexifyError:
        index, rows = self._index, slice_.rows
        self._reader.prefetch(slice_.shards_ahead)
        pictures = _empty_pictures(len(rows), index.height_px, index.width_px)
        pixels = pictures.numpy()
        try:
            found = self._reader.read_or_reject(rows, pixels=pixels)
        except LatexifyError as error:
            return error
        damaged, token_ids = [], []
        for place, (row, sample) in enumerate(zip(rows.tolist(), found, strict=True)):
            if isinstance(sample, DamagedSampleError):
                damaged.append(Damage(row=row, reason=str(sample)))
                pixels[place] = 255
                # as long as its label, so that a micro-batch has the same shape without it
                token_ids.append(np.full(index.num_tokens[row], IGNORED, dtype=np.int32))
            else:
                token_ids.append(sample.token_ids)
        return MicroBatch(pixels=pictures, labels=pad_labels(token_ids), slice=slice_, damaged=tuple(damaged))


def _empty_pictures(*shape: int) -> torch.Tensor:
    """Memory for uint8 pictures; in a loader process shared with its parent, or they would be copied on their way."""
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.uint8)
    storage = torch.UntypedStorage._new_shared(math.prod(shape))  # type: ignore[no-untyped-call]  # noqa: SLF001  # as torch's collation
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)


class _Slices:
    """The sampler: what to read next. An object rather than a generator, since the loader asks for an iterable."""

    def __init__(self, make: Callable[[], Iterator[Slice]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Slice]:
        return self._make()


def open_loader(  # noqa: PLR0913  # all but the first two are named
    index: SplitIndex,
    params: TrainParams,
    *,
    seed: int,
    start: Position,
    pin_memory: bool,
    by_length: bool = True,
    share: RankShare = SINGLE_RANK,
) -> DataLoader[MicroBatch | LatexifyError]:
    """An endless loader of micro-batches in the order of :func:`slices`, read by `params.loader_workers` processes.

    A damaged sample is named in its micro-batch; in place of a micro-batch whose shard cannot be read stands the error
    that names it.

    For training on several ranks: each opens its own loader with its `share`, and divides its token losses by
    `slice.global_tokens`. The *sum* over the ranks of such gradients is that of the whole global batch, so what
    averages them (DistributedDataParallel) must have its result multiplied by the world size.

    Raises LatexifyError where the ranks cannot share a global batch.
    """
    batch = min(params.global_batch, len(index))
    make: Callable[[], Iterator[Slice]] = partial(
        slices, index, params, seed=seed, start=start, by_length=by_length, share=share
    )
    if num_ahead := _slices_ahead(index, params):
        make = partial(_looking_ahead, make, index, num_ahead=num_ahead)
    num_micro_batches(batch, micro_batch=params.micro_batch_size, world_size=share.world_size)
    return DataLoader(
        _Shards(index),
        batch_size=None,
        sampler=_Slices(make),
        num_workers=params.loader_workers,
        prefetch_factor=PREFETCHED if params.loader_workers else None,
        pin_memory=pin_memory,
        worker_init_fn=_leave_signals_to_parent,
    )


def _slices_ahead(index: SplitIndex, params: TrainParams) -> int:
    """How far to look ahead for shards to fetch: not at all where they are here, or the cache has no room for more."""
    if is_local(index.folder):
        return 0
    in_window = params.shuffle_window * len(index.shards) // len(index) + 2
    if 2 * in_window * max(index.shard_bytes) > ShardCache.from_environment().limit_bytes:
        return 0
    return max(1, AHEAD_SAMPLES // params.micro_batch_size)


def _looking_ahead(make: Callable[[], Iterator[Slice]], index: SplitIndex, *, num_ahead: int) -> Iterator[Slice]:
    return look_ahead(make(), shard_ids=index.shard_ids, num_ahead=num_ahead)


def close_loader(batches: Iterator[MicroBatch | LatexifyError]) -> None:
    """End the loader processes of an iterator over :func:`open_loader`.

    Whoever leaves the iterator before its end must call this, also on an error: Python would otherwise send them a
    SIGTERM when it exits, which they ignore, and wait for them for ever.
    """
    if not isinstance(batches, _MultiProcessingDataLoaderIter):
        return
    try:
        batches._shutdown_workers()  # noqa: SLF001  # torch has no public way
    except RuntimeError as error:
        if not _is_dead_worker(error):  # that one is dead is no reason not to end the others
            raise
    finally:
        for worker in batches._workers:  # noqa: SLF001
            if worker.is_alive():
                worker.kill()
                worker.join()


def _is_dead_worker(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and "DataLoader worker" in str(error)


@contextmanager
def naming_dead_workers() -> Iterator[None]:
    """Make one clear error of what is raised, at any moment, when a loader process was killed.

    torch raises a RuntimeError from its signal handler; that may come while we handle the other trace of such a death,
    the broken connection to the process that made a tensor.
    """
    try:
        try:
            yield
        except (ConnectionError, EOFError) as error:
            raise RuntimeError(f"DataLoader worker is gone: {error or type(error).__name__}") from error
    except RuntimeError as error:
        if not _is_dead_worker(error):
            raise
        raise LatexifyError(
            f"a loader process died ({str(error).splitlines()[0].strip()}), most often for want of memory: lower "
            f"train.loader_workers or train.micro_batch, then run the same command to go on"
        ) from None


def _leave_signals_to_parent(_worker: int) -> None:
    """Ctrl-C reaches the whole process group, and so does a scheduler's SIGTERM: only the parent shall act on them.

    It needs its loader processes until the checkpoint is written. They end when `close_loader` tells them to or, should
    the parent be killed, when torch's watchdog notices. (torch itself sets one thread in its loader processes.)
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
