"""`python -m benchmarks`.

Apart from `benchmarks.bench.run`, because a process that is started anew imports the main module again, but for one of this
name: it would hold torch where the stage that it measures needs none.
"""

import typer

from benchmarks.bench.run import main

if __name__ == "__main__":
    typer.run(main)
