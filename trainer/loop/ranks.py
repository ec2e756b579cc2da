"""The processes of a distributed training, as torchrun starts them; a single process is a group of one.

Every rank calls the same collectives in the same order, also after an error: a rank reports its error at the next
exchange, since one that simply stopped would leave the others waiting.
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
    """This process among all."""

    rank: int = 0  # to world_size - 1
    world_size: int = 1
    group: Any = None
    """A gloo group for numbers and text: NCCL can only send GPU memory."""

    def __post_init__(self) -> None:
        assert 0 <= self.rank < self.world_size

    @property
    def is_main(self) -> bool:
        """Whether this is the process that logs, writes and exports."""
        return self.rank == 0

    def sums(self, values: list[float]) -> list[float]:
        """Sum each value over all ranks, in float64."""
        if self.world_size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=self.group)
        return [float(value) for value in total]

    def gather(self, value: Any) -> list[Any]:
        """Return the picklable `value` of every rank, in the order of ranks, on every rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value, group=self.group)
        return values

    def raise_first(self, error: LatexifyError | None) -> None:
        """Raise, on every rank, the error of the lowest rank that has one; every rank must call this."""
        for message in self.gather(None if error is None else str(error)):
            if message is not None:
                raise LatexifyError(message) from error

    @contextlib.contextmanager
    def share_errors(self) -> Iterator[None]:
        """Run a block on every rank; where one of them raises a LatexifyError, all raise the first of them after it."""
        error = None
        try:
            yield
        except LatexifyError as problem:
            error = problem
        self.raise_first(error)

    def wrap(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that its backward pass averages gradients over all ranks; a single rank needs no wrapper."""
        if self.world_size == 1:
            return module
        device = next(module.parameters()).device
        device_ids = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=device_ids, gradient_as_bucket_view=True)


SINGLE_RANK = Ranks()
"""A process that trains alone."""


@contextlib.contextmanager
def join_ranks(device: str | None) -> Iterator[tuple[Ranks, torch.device]]:
    """Join the group that torchrun's environment variables name, and leave it at the end.

    Yield this process among all, and its device: with several GPUs each rank of a machine takes its own. Raises
    LatexifyError if a machine has fewer GPUs than ranks, or the device cannot be used.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield SINGLE_RANK, choose_device(device)
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
