"""`python -m benchmarks`.

A module of its own: a new process imports the main module again, unless it has this name. With `benchmarks.bench.run`
as the main module, each process would import torch where the stage that it measures needs none.
"""

import typer

from benchmarks.bench.run import main

if __name__ == "__main__":
    typer.run(main)
