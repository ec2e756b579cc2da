"""A training on several gloo ranks, started by torchrun: `rank_run.py DATA PLACE '{"parameter": value}'`.

Prints the summary of rank 0, or the error of every rank, and ends with 1 then, as the command line does.
"""

import json
import os
import sys
from pathlib import Path

import torch
from trainer_data import quick_params

from shards.errors import LatexifyError
from trainer.config import ModelParams
from trainer.train import run


def main() -> None:
    """Train."""
    torch.set_num_threads(1)
    data, place = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        summary = run(
            quick_params(**json.loads(sys.argv[3])),
            ModelParams(base=str(data / "base")),
            seed=1,
            shards=data / "shards",
            tokenizer=data / "tokenizer",
            out=place / "model",
            runs=place / "runs",
            metrics=place / "metrics" / "train.json",
            device="cpu",
        )
    except LatexifyError as error:
        sys.stdout.write(f"rank {os.environ['RANK']}: {error}\n")
        sys.exit(1)
    if os.environ["RANK"] == "0":
        sys.stdout.write(json.dumps(summary) + "\n")


if __name__ == "__main__":
    main()
