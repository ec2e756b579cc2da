"""The processes of a distributed training, as torchrun starts them; a single process is a group of one.

Every rank calls the same collectives in the same order, whatever happens to it: a rank that meets an error tells the
others at the next exchange, since one that simply stopped would leave them waiting.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from latexify.common.errors import LatexifyError
from latexify.trainer.loop.precision import choose_device

TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for another: longer than the slowest validation or checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process's place among all. rank: 0 to world_size - 1; rank 0 logs, writes and exports."""

    rank: int = 0
    world_size: int = 1
    group: Any = None
    """A gloo group for numbers and words: a GPU's own group can only send what lies on a GPU."""

    @property
    def is_main(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0

    def sums(self, values: list[float]) -> list[float]:
        """The sums over all ranks of each value, added in float64."""
        if self.world_size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=self.group)
        return [float(value) for value in total]

    def gather(self, value: Any) -> list[Any]:
        """The picklable `value` of every rank, in the order of ranks, on every rank."""
        if self.world_size == 1:
            return [value]
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, value, group=self.group)
        return found

    def first_error(self, error: LatexifyError | None) -> LatexifyError | None:
        """The error of the lowest rank that has one: the same on every rank, so that all can stop together."""
        messages = self.gather(None if error is None else str(error))
        return next((LatexifyError(message) for message in messages if message is not None), None)

    def wrap(self, module: nn.Module) -> nn.Module:
        """A module whose backward pass adds up gradients over all ranks; the module itself where there is one rank."""
        if self.world_size == 1:
            return module
        device = next(module.parameters()).device
        return nn.parallel.DistributedDataParallel(
            module,
            device_ids=[device.index] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )


@contextlib.contextmanager
def join_ranks(device: str | None) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the group that torchrun's environment variables name, and leave it at the end; yields place and device.

    device: as `latexify.trainer.loop.precision.choose_device` takes it; of several GPUs each rank of a machine takes its own.

    Raises LatexifyError where a machine has fewer GPUs than ranks, or the device cannot be used.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield Ranks(), choose_device(device)
        return
    chosen = _device_of_rank(choose_device(device), local_rank=int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        group = dist.new_group(backend="gloo", timeout=TIMEOUT)
        yield Ranks(rank=dist.get_rank(), world_size=world_size, group=group), chosen
    finally:
        dist.destroy_process_group()


def _device_of_rank(device: torch.device, *, local_rank: int) -> torch.device:
    if device.type != "cuda":
        return device
    if local_rank >= torch.cuda.device_count():
        raise LatexifyError(
            f"this machine has {torch.cuda.device_count()} GPUs, too few for rank {local_rank} on it: "
            "start torchrun with --nproc-per-node of at most that, or use --device cpu"
        )
    chosen = torch.device("cuda", local_rank)
    torch.cuda.set_device(chosen)
    return chosen
