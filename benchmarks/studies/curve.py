"""Whether a training goes as a recorded one went.

    python -m benchmarks.studies.curve models/crohme-small/history.csv runs/5d6b8e1d37597b4e/history.csv

compares the rows of steps that both have, so that a few hundred steps of a recipe tell whether it is the recorded one.
Equal bytes are not to be expected of another machine, another number of threads or bf16: sums round otherwise.
"""

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from latexify.common.errors import LatexifyError

COMPARED = ("train_loss", "valid_loss")


def main(
    recorded: Annotated[Path, typer.Argument(help="history.csv of the recorded run.")],
    repeated: Annotated[Path, typer.Argument(help="history.csv of the other.")],
    tolerance: Annotated[float, typer.Option(help="Largest relative difference that passes.")] = 0.02,
) -> None:
    """Print the rows of both side by side; exit code 1 where a loss differs by more than `tolerance`."""
    before, now = read_losses(recorded), read_losses(repeated)
    common = sorted(before.keys() & now.keys())
    if not common:
        raise LatexifyError(f"{recorded} and {repeated} have no step in common: train for at least train.log_steps")
    worst = 0.0
    for step in common:
        for name in sorted(before[step].keys() & now[step].keys()):
            old, new = before[step][name], now[step][name]
            worst = max(worst, abs(new - old) / old)
            print(f"step {step}: {name} {old:.4f} recorded, {new:.4f} now, {new / old - 1:+.2%}")
    print(f"{len(common)} rows of steps {common[0]} to {common[-1]}, largest difference {worst:.2%}")
    if worst > tolerance:
        raise LatexifyError(f"they differ by up to {worst:.2%}, {tolerance:.2%} is allowed: not the same training")


def read_losses(path: Path) -> dict[int, dict[str, float]]:
    """The losses by step. Raises LatexifyError where `path` is no history of a training."""
    try:
        with path.open(newline="") as file:
            return {
                int(row["step"]): {name: float(row[name]) for name in COMPARED if row[name]}
                for row in csv.DictReader(file)
            }
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise LatexifyError(f"{path} is no history of a training ({error}): name a history.csv") from None


if __name__ == "__main__":
    try:
        typer.run(main)
    except LatexifyError as error:
        sys.exit(f"curve: {error}")
