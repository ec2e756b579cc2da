"""A training on several gloo ranks, started by torchrun: `rank_run.py DATA PLACE '{"parameter": value}'`.

Prints the summary of rank 0, or the error of every rank, and ends with 1 then, as the command line does. The rank that
the environment names by `FULL_MEMORY_OF_RANK` finds no memory for its second micro-batch.
"""

import json
import os
import sys
from pathlib import Path

import torch

from latexify.common.errors import LatexifyError
from latexify.trainer.data.batches import MicroBatch
from latexify.trainer.loop.step import Stepper
from tests.support.trainer_data import train


def fill_memory() -> None:
    """Let the second micro-batch of this process, and all that follow, find none left."""
    backward = Stepper._backward
    done: list[MicroBatch] = []

    def fail(self: Stepper, micro: MicroBatch) -> torch.Tensor:
        if done:
            raise torch.OutOfMemoryError("none left")
        done.append(micro)
        return backward(self, micro)

    Stepper._backward = fail  # type: ignore[method-assign]


def main() -> None:
    """Train."""
    torch.set_num_threads(1)
    if os.environ.get("FULL_MEMORY_OF_RANK") == os.environ["RANK"]:
        fill_memory()
    try:
        summary = train(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3]))
    except LatexifyError as error:
        sys.stdout.write(f"rank {os.environ['RANK']}: {error}\n")
        sys.exit(1)
    if os.environ["RANK"] == "0":
        sys.stdout.write(json.dumps(summary) + "\n")


if __name__ == "__main__":
    main()
