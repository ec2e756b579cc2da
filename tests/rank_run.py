"""A training on several gloo ranks, started by torchrun: `rank_run.py DATA PLACE '{"parameter": value}'`.

Prints the summary of rank 0, or the error of every rank, and ends with 1 then, as the command line does.
"""

import json
import os
import sys
from pathlib import Path

import torch
from trainer_data import train

from shards.errors import LatexifyError


def main() -> None:
    """Train."""
    torch.set_num_threads(1)
    try:
        summary = train(Path(sys.argv[1]), Path(sys.argv[2]), **json.loads(sys.argv[3]))
    except LatexifyError as error:
        sys.stdout.write(f"rank {os.environ['RANK']}: {error}\n")
        sys.exit(1)
    if os.environ["RANK"] == "0":
        sys.stdout.write(json.dumps(summary) + "\n")


if __name__ == "__main__":
    main()
