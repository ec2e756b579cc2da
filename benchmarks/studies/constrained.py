"""Compare constrained and unconstrained decoding: time, fraction of well-formed answers, error rates.

    python -m benchmarks.studies.constrained --model data/model --shards data/shards [--beams 3] [--rounds 7]

Both decode the same pictures in one process, in turn; the ratio is the median of the rounds' ratios. Times are CPU
times, which other processes on the machine affect little.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import describe
from benchmarks.studies.wellformed import flaw_of
from latexify.common.errors import LatexifyError
from latexify.eval.metrics.edits import count_edits
from latexify.pipeline.latex import normalize
from latexify.shards.format.index import open_split
from latexify.shards.reading.plan import batches_by_size
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.model import TrainedModel
from latexify.trainer.inference.open import open_model
from latexify.trainer.inference.runtime import Pixels
from latexify.trainer.inference.search import Hypothesis
from latexify.trainer.inference.well_formed import constraint_for

BATCH_SIZE = 64
MAX_TOKENS = 256


@dataclass(frozen=True, kw_only=True)
class Task:
    """Batches of pictures, uint8 [batch, height, width], and their references."""

    trained: TrainedModel
    batches: Sequence[Pixels]
    references: Sequence[str]
    num_beams: int

    def decode(self, constraint: Constraint | None) -> tuple[float, list[Hypothesis]]:
        """Return CPU seconds, and the best hypothesis of each picture."""
        answers: list[Hypothesis] = []
        started = time.process_time()
        for pixels in self.batches:
            results = self.trained.inference.generate(
                pixels, max_tokens=MAX_TOKENS, num_beams=self.num_beams, constraint=constraint
            )
            answers += [hypotheses[0] for hypotheses in results]
        return time.process_time() - started, answers


def load_task(trained: TrainedModel, shards: Path, *, split: str, num_beams: int) -> Task:
    """Load a split in batches of similar length, as `latexify predict` does."""
    index = open_split(shards, split)
    order = np.argsort(index.num_tokens, kind="stable")[::-1]
    with SampleReader(index) as reader:
        batches = [reader.read(rows) for rows in batches_by_size(order, index.sizes_px, size=BATCH_SIZE)]
    return Task(
        trained=trained,
        batches=[np.stack([sample.pixels for sample in batch]) for batch in batches],
        references=[sample.label for batch in batches for sample in batch],
        num_beams=num_beams,
    )


def compare(task: Task, constraint: Constraint, *, rounds: int) -> tuple[list[float], list[float]]:
    """Return CPU seconds of each round, unconstrained and constrained; they alternate in going first."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(rounds):
        for constrained in (False, True) if turn % 2 == 0 else (True, False):
            times[constrained].append(task.decode(constraint if constrained else None)[0])
    return times[False], times[True]


def table_row(task: Task, constraint: Constraint | None) -> str:
    """Return a row of the table: the quality of the answers."""
    _, answers = task.decode(constraint)
    raw = task.trained.texts([answer.ids for answer in answers])
    totals = count_edits(task.references, [normalize(text) for text in raw]).totals()
    cer, exact_match = totals["char_errors"] / totals["num_chars"], totals["num_exact"] / totals["num_samples"]
    well_formed = sum(flaw_of(text) == "" for text in raw) / len(raw)
    unfinished = sum(not answer.finished for answer in answers)
    return f"{well_formed:.2%} | {cer:.3%} | {exact_match:.2%} | {unfinished}"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--shards", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--beams", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        constraint = constraint_for(options.model)
        trained = open_model(options.model)
        task = load_task(trained, options.shards, split=options.split, num_beams=options.beams)
    except LatexifyError as error:
        sys.exit(f"benchmarks.constrained: {error}")
    if constraint is None:
        sys.exit(f"benchmarks.constrained: the tokens of {options.model} are not LaTeX: nothing to constrain")
    rows = [table_row(task, None), table_row(task, constraint)]  # also warms up
    free, bound = compare(task, constraint, rounds=options.rounds)
    machine = describe()
    ratio = statistics.median(after / before for before, after in zip(free, bound, strict=True))
    print(f"{machine['date']}, commit {machine['commit']}, {machine['cpu']}, {options.threads} thread(s)")
    print(f"{len(task.references)} {options.split} inks, {options.beams} beam(s), {options.rounds} rounds\n")
    print("| | CPU seconds (median) | well formed | CER | exact match | unfinished |\n|---|---|---|---|---|---|")
    for name, times, row in (("unconstrained", free, rows[0]), ("constrained", bound, rows[1])):
        print(f"| {name} | {statistics.median(times):.3f} | {row} |")
    print(f"\nconstrained ÷ unconstrained: {ratio:.3f} (median of {options.rounds} ratios)")


if __name__ == "__main__":
    main()
