"""Generate the embedded dataset: tasks of imaginary writers, run in parallel, into one tar for each split."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
from joblib import Parallel, delayed

from latexify.common.progress import Progress
from latexify.pipeline.config import SyntheticParams
from latexify.pipeline.inkml.writer import RECORDED, inkml, write_archive
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.synthesis.fonts.hand import FontHand, ImaginaryWriter
from latexify.pipeline.synthesis.fonts.pen import record
from latexify.pipeline.synthesis.formulas.expression import Node, label
from latexify.pipeline.synthesis.formulas.generator import expression
from latexify.pipeline.synthesis.formulas.lines import several_lines
from latexify.pipeline.synthesis.typeset.layout import typeset

EVALUATION_WRITERS_SHARE = 0.1
"""Fraction of the writers in validation and in test, at least one writer each."""
INKS_PER_TASK = 100
"""Without influence on the bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Inks `start` to `stop` of a split, all of one writer."""

    split: str
    writer: int
    start: int
    stop: int


def generate(params: SyntheticParams, *, seed: int, out: Path, jobs: int) -> None:
    """Write `train.tar`, `valid.tar` and `test.tar` of InkML into `out`, members `synthetic/{split}/{sampleId}.inkml`.

    The bytes depend on `params` and `seed` alone, not on `jobs`. Each tar is written completely or not at all.
    """
    out.mkdir(parents=True, exist_ok=True)
    total = params.num_train + params.num_valid + params.num_test
    with Progress("source", total=total, unit="inks") as progress, Parallel(n_jobs=jobs, return_as="generator") as pool:
        for split in SPLITS:
            batches = pool(delayed(write_inks)(task, params, seed=seed) for task in plan(params, split))
            write_archive(out / f"{split}.tar", _counted(batches, progress))


def _counted(batches: Iterator[list[tuple[str, bytes]]], progress: Progress) -> Iterator[tuple[str, bytes]]:
    for members in batches:
        yield from members
        progress.advance(len(members))


def plan(params: SyntheticParams, split: str) -> list[Task]:
    """Divide a split evenly among its writers, and each writer's inks into tasks, in order of index."""
    writers, count = split_writers(params.num_writers)[split], getattr(params, f"num_{split}")
    bounds = [count * index // len(writers) for index in range(len(writers) + 1)]
    return [
        Task(split=split, writer=writer, start=start, stop=min(start + INKS_PER_TASK, end))
        for writer, (first, end) in zip(writers, pairwise(bounds), strict=True)
        for start in range(first, end, INKS_PER_TASK)
    ]


def split_writers(num_writers: int) -> dict[str, range]:
    """The numbers of the writers of each split, which no other split has."""
    each = max(1, round(EVALUATION_WRITERS_SHARE * num_writers))
    train = num_writers - 2 * each
    return {"train": range(train), "valid": range(train, train + each), "test": range(train + each, num_writers)}


def _formula(params: SyntheticParams, rng: Random) -> Node:
    def line() -> Node:
        return expression(rng, min_tokens=params.min_tokens, max_tokens=params.max_tokens, max_depth=params.max_depth)

    if params.several_lines and rng.random() < params.several_lines:
        return several_lines(rng, line)
    return line()


def write_inks(task: Task, params: SyntheticParams, *, seed: int) -> list[tuple[str, bytes]]:
    """Member name and InkML of every ink of a task, in order of index."""
    writer = ImaginaryWriter(seed, task.writer)
    members = []
    for index in range(task.start, task.stop):
        digest = hashlib.sha256(f"{seed}/{task.split}/{index}".encode()).digest()
        sample_id, rng = digest.hex()[:16], Random(digest)
        tree = _formula(params, rng)
        box = typeset(tree, FontHand(writer, rng))
        points, lengths = record(box.glyphs, writer.style, np.random.default_rng(list(digest)))
        annotations = {
            "label": label(tree),
            "splitTagOriginal": task.split,
            "sampleId": sample_id,
            "normalizedLabel": label(tree),
            "inkCreationMethod": "synthetic",
            "labelCreationMethod": "synthetic",
            "writer": f"w{task.writer:04d}",
        }
        document = inkml(points, lengths.tolist(), annotations, RECORDED)
        members.append((f"synthetic/{task.split}/{sample_id}.inkml", document))
    return members
