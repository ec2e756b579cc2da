"""Writes the dataset: who writes what, in parallel, into one tar a split."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
from joblib import Parallel, delayed

from latexify.artifacts.files import temporary_of
from latexify.common.progress import Progress
from latexify.pipeline.config import SyntheticParams
from latexify.pipeline.inkml.writer import inkml
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.synthesis.fonts.hand import Hand
from latexify.pipeline.synthesis.fonts.pen import record
from latexify.pipeline.synthesis.formulas.expression import label
from latexify.pipeline.synthesis.formulas.grammar import expression
from latexify.pipeline.synthesis.typeset.layout import typeset

EVALUATION_WRITERS_SHARE = 0.1
"""Share of the writers that validation and test get each; never less than one writer a split."""
INKS_PER_TASK = 100
"""A worker's share at a time; it has no influence on what is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Inks `start` to `stop` of a split, all by one writer."""

    split: str
    writer: int
    start: int
    stop: int


def generate(params: SyntheticParams, *, seed: int, out: Path, jobs: int) -> None:
    """Write `train.tar`, `valid.tar` and `test.tar` of InkML into `out`, members `synthetic/{split}/{sampleId}.inkml`.

    The bytes depend on `params` and `seed` alone, not on `jobs`. A tar is there whole or not at all.
    """
    out.mkdir(parents=True, exist_ok=True)
    total = params.num_train + params.num_valid + params.num_test
    with Progress("source", total=total, unit="inks") as progress, Parallel(n_jobs=jobs, return_as="generator") as pool:
        for split in SPLITS:
            batches = pool(delayed(write_inks)(task, params, seed=seed) for task in plan(params, split))
            _write_tar(out / f"{split}.tar", batches, progress)


def plan(params: SyntheticParams, split: str) -> list[Task]:
    """Divide a split among its writers, as evenly as it goes, and each writer's inks into tasks; in order of index."""
    writers, count = split_writers(params.num_writers)[split], getattr(params, f"num_{split}")
    bounds = [count * place // len(writers) for place in range(len(writers) + 1)]
    return [
        Task(split=split, writer=writer, start=start, stop=min(start + INKS_PER_TASK, bounds[place + 1]))
        for place, writer in enumerate(writers)
        for start in range(bounds[place], bounds[place + 1], INKS_PER_TASK)
    ]


def split_writers(num_writers: int) -> dict[str, range]:
    """The writers of each split: numbers that no other split has."""
    each = max(1, round(EVALUATION_WRITERS_SHARE * num_writers))
    train = num_writers - 2 * each
    return {
        "train": range(train),
        "valid": range(train, train + each),
        "test": range(train + each, num_writers),
    }


def write_inks(task: Task, params: SyntheticParams, *, seed: int) -> list[tuple[str, bytes]]:
    """Member name and InkML of every ink of a task, in order of index."""
    hand = Hand(seed, task.writer)
    members = []
    for index in range(task.start, task.stop):
        digest = hashlib.sha256(f"{seed}/{task.split}/{index}".encode()).digest()
        sample_id = digest.hex()[:16]
        rng = Random(digest)
        tree = expression(rng, min_tokens=params.min_tokens, max_tokens=params.max_tokens, max_depth=params.max_depth)
        box = typeset(tree, hand, rng)
        traces = record(box.placements, hand.style, np.random.default_rng(list(digest)))
        text = inkml(traces, label=label(tree), split=task.split, sample_id=sample_id, writer=f"w{task.writer:04d}")
        members.append((f"synthetic/{task.split}/{sample_id}.inkml", text))
    return members


def _write_tar(path: Path, batches: Iterator[list[tuple[str, bytes]]], progress: Progress) -> None:
    """Write the members in the order they come, under a temporary name until all are there."""
    temporary = temporary_of(path)
    try:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for members in batches:
                for name, data in members:
                    tar.addfile(_tar_info(name, len(data)), io.BytesIO(data))
                progress.advance(len(members))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _tar_info(name: str, num_bytes: int) -> tarfile.TarInfo:
    """A member header that says nothing of the machine or the clock (a new `TarInfo` has time 0 and owner 0)."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = num_bytes, 0o644
    return info
