"""The disk that checkpoints go to: how much of it a run needs, and the error when it is full."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from latexify.common.errors import LatexifyError
from latexify.trainer.loop.checkpoint import FULL_DISK, CheckpointFolder
from latexify.trainer.loop.step import Stepper
from latexify.trainer.runs.files import bests_in, checkpoints_in


@dataclass(frozen=True, kw_only=True)
class DiskNeed:
    """Sizes of the files that a run writes, in bytes."""

    checkpoint: int
    best: int  # weights of the best model
    num_kept: int  # checkpoints that are kept

    @property
    def peak(self) -> int:
        """The most that the files of a run take at a time.

        Before the oldest checkpoint is deleted there is one more than is kept. Each may refer to its own best model.
        """
        return (self.num_kept + 1) * (self.checkpoint + self.best)


def disk_need(stepper: Stepper, *, num_kept: int) -> DiskNeed:
    """Compute the sizes from the tensors; the rest of a checkpoint is small."""
    trained = (parameter for parameter in stepper.model.parameters() if parameter.requires_grad)
    moments = 2 * sum(parameter.numel() * parameter.element_size() for parameter in trained)
    weights, average = _tensor_bytes(stepper.model.state_dict()), _tensor_bytes(stepper.ema.state_dict())
    return DiskNeed(checkpoint=weights + average + moments, best=average or weights, num_kept=num_kept)


def warn_of_short_disk(folder: Path, need: DiskNeed) -> str:
    """Say in one line that the disk has too little room for a run; empty if it has enough.

    folder: of the run. It must exist; what it holds already counts as room.
    """
    files = [*checkpoints_in(folder).values(), *bests_in(folder).values()]
    missing = need.peak - sum(path.stat().st_size for path in files)
    free = shutil.disk_usage(folder).free
    if missing <= free:
        return ""
    return (
        f"train: the disk is short of room: the checkpoints of this run need up to {mib(missing)} more, {mib(free)} "
        f"are free in {folder}: `latexify runs` lists what can be removed, or lower train.keep_checkpoints "
        f"({need.num_kept})"
    )


@contextmanager
def explain_full_disk(checkpoints: CheckpointFolder) -> Iterator[None]:
    """Raise one clear error for a disk, or a quota, that is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        step = checkpoints.latest_step
        kept = "no checkpoint was written yet" if step is None else f"the checkpoint of step {step} is whole and kept"
        raise LatexifyError(
            f"the disk is full, {checkpoints.folder} cannot be written; {kept}: make room (`latexify runs` lists "
            "what can be removed), then run the same command to continue"
        ) from None


def mib(num_bytes: int) -> str:
    """Write a number of bytes in MiB."""
    return f"{num_bytes / 2**20:,.1f} MiB"


def _tensor_bytes(state: dict[str, Any]) -> int:
    """Return the bytes of a state dictionary's tensors; what several of them share counts once, as in a file."""
    storages = [value.untyped_storage() for value in state.values() if isinstance(value, torch.Tensor)]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
