"""Global batches for the loop, with the certainty that every rank has its part of the same one."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from latexify.common.errors import LatexifyError
from latexify.trainer.data.batches import Damage, MicroBatch
from latexify.trainer.data.slices import Slice
from latexify.trainer.loop.ranks import Ranks


@dataclass(frozen=True, kw_only=True)
class GlobalBatch:
    """This rank's part of a global batch, and what all ranks know of the whole.

    wait_s: how long this rank waited for it. damaged: samples that could not be read. stop: whether a rank was asked to
    stop. overtime: whether a rank has trained for as long as it may.
    """

    micro_batches: list[MicroBatch]
    wait_s: float
    damaged: list[Damage]
    stop: bool
    overtime: bool

    @property
    def place(self) -> Slice:
        """Of any micro-batch: the place of the global batch in the plan."""
        return self.micro_batches[-1].slice


def next_batch(
    batches: Iterator[MicroBatch | LatexifyError], *, ranks: Ranks, stop: bool, overtime: bool
) -> GlobalBatch:
    """Read this rank's part of the next global batch and compare notes with the others.

    All of it is read before any of it is trained on: once gradients are being exchanged, a rank that lacks its part
    would leave the others waiting. stop, overtime: what this rank has to say.

    Raises LatexifyError, on every rank, where one of them cannot read its part.
    """
    started = time.perf_counter()
    found: list[MicroBatch] = []
    error = None
    for batch in batches:
        if isinstance(batch, LatexifyError):
            error = batch
            break
        found.append(batch)
        if batch.slice.is_last:
            break
    wait_s = time.perf_counter() - started
    damaged = [damage for batch in found for damage in batch.damaged]
    failures, num_damaged, stops, overtimes = ranks.sums([error is not None, len(damaged), stop, overtime])
    if failures:
        error = ranks.first_error(error)
        assert error is not None
        raise error
    if num_damaged:
        damaged = [damage for part in ranks.gather(damaged) for damage in part]
    return GlobalBatch(micro_batches=found, wait_s=wait_s, damaged=damaged, stop=bool(stops), overtime=bool(overtimes))
