"""What constrained decoding costs and brings: time, share of well-formed answers, error rates, beside free decoding.

    python -m benchmarks.studies.constrained --model data/model --shards data/shards [--beams 3] [--rounds 7]

Both ways read the same pictures in one process, in turns; the ratio is the median of the rounds' ratios. Times are of
the CPU, which others at work on the machine change little.
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

from benchmarks.bench.machine import describe
from benchmarks.studies.wellformed import flaw_of
from latexify.common.errors import LatexifyError
from latexify.eval.metrics.edits import count_edits
from latexify.eval.predict.latex_grammar import constraint_for
from latexify.pipeline.latex import normalize
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.reader import TrainedReader, open_reader
from latexify.trainer.inference.search import Hypothesis

BATCH_SIZE = 64
MAX_TOKENS = 256


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is read: batches of pictures, uint8 [batch, height, width], and what they say."""

    trained: TrainedReader
    batches: Sequence[torch.Tensor]
    references: Sequence[str]
    num_beams: int

    def read(self, constraint: Constraint | None) -> tuple[float, list[Hypothesis]]:
        """CPU seconds, and the answers."""
        answers: list[Hypothesis] = []
        started = time.process_time()
        for pixels in self.batches:
            found = self.trained.reader.read(
                pixels, max_tokens=MAX_TOKENS, num_beams=self.num_beams, constraint=constraint
            )
            answers += [hypotheses[0] for hypotheses in found]
        return time.process_time() - started, answers


def load_task(trained: TrainedReader, shards: Path, *, split: str, num_beams: int) -> Task:
    """A split in batches of like length, as `latexify predict` reads it."""
    index = open_split(shards, split)
    order = np.argsort(index.num_tokens, kind="stable")[::-1]
    with SampleReader(index) as reader:
        samples = reader.read(order)
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    return Task(
        trained=trained,
        batches=pixels.split(BATCH_SIZE),
        references=[sample.label for sample in samples],
        num_beams=num_beams,
    )


def compare(task: Task, constraint: Constraint, *, rounds: int) -> tuple[list[float], list[float]]:
    """CPU seconds of each round, free and constrained; they take turns in going first."""
    times: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(rounds):
        for constrained in (False, True) if turn % 2 == 0 else (True, False):
            times[constrained].append(task.read(constraint if constrained else None)[0])
    return times[False], times[True]


def judge(task: Task, constraint: Constraint | None) -> str:
    """A row of the table: what the answers are worth."""
    _, answers = task.read(constraint)
    raw = task.trained.texts([answer.ids for answer in answers])
    score = count_edits(task.references, [normalize(text) for text in raw]).score()
    rates = score.rates()
    well_formed = sum(flaw_of(text) == "" for text in raw) / len(raw)
    unfinished = sum(not answer.finished for answer in answers)
    return f"{well_formed:.2%} | {rates['cer']:.3%} | {rates['exact_match']:.2%} | {unfinished}"


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
        trained = open_reader(options.model, device=torch.device("cpu"))
        task = load_task(trained, options.shards, split=options.split, num_beams=options.beams)
    except LatexifyError as error:
        sys.exit(f"benchmarks.constrained: {error}")
    if constraint is None:
        sys.exit(f"benchmarks.constrained: the tokens of {options.model} are pieces of text: nothing to constrain")
    rows = [judge(task, None), judge(task, constraint)]  # also warms up
    free, bound = compare(task, constraint, rounds=options.rounds)
    machine = describe()
    ratio = statistics.median(after / before for before, after in zip(free, bound, strict=True))
    print(f"{machine['date']}, commit {machine['commit']}, {machine['cpu']}, {options.threads} thread(s)")
    print(f"{len(task.references)} {options.split} inks, {options.beams} beam(s), {options.rounds} rounds\n")
    print("| | CPU seconds (median) | well formed | CER | exact match | unfinished |\n|---|---|---|---|---|---|")
    for name, times, row in (("free", free, rows[0]), ("constrained", bound, rows[1])):
        print(f"| {name} | {statistics.median(times):.3f} | {row} |")
    print(f"\nconstrained ÷ free: {ratio:.3f} (median of {options.rounds} ratios)")


if __name__ == "__main__":
    main()
