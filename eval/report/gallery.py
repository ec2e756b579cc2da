"""Which samples a person gets to see: chosen so that the choice itself does not deceive."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Generic, TypeVar

import numpy as np

Card = TypeVar("Card")

GROUPS = {
    "random": "at random",
    "worst": "as one of the worst for its length",
    "confident": "as wrong but confident",
    "class": "for its structure, length or source",
}
"""Why a sample was chosen, and how a person says it."""
TURNS = ("random", "class", "random", "worst", "random", "class", "random", "confident", "random", "worst")
"""Whose turn it is to name a sample; so half of the gallery is a fair sample, however early it has to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the choice depends on, of one sample. classes: parts of the samples that it belongs to."""

    key: str
    num_errors: int
    error_rate: float
    confidence: float
    classes: tuple[str, ...] = ()


@dataclass(slots=True)
class Shown(Generic[Card]):
    """One sample of the gallery: its card, and every group that named it."""

    card: Card
    groups: list[str] = field(default_factory=list)


def draws(samples: Sequence[Judged], *, seed: int) -> Iterator[tuple[str, int]]:
    """(group, row) in the order in which the samples are to be shown, until every group has named all it has.

    random: rows in a random order, so that those named so far are a fair sample at any time. worst: wrong ones, most
    character edits per reference character first. confident: wrong ones, the most confident first. class: each class in
    turn names its next row in a random order.
    """
    shuffled = np.random.default_rng(seed).permutation(len(samples)).tolist()
    wrong = [row for row, sample in enumerate(samples) if sample.num_errors]
    worst = sorted(wrong, key=lambda row: (-samples[row].error_rate, -samples[row].confidence, samples[row].key))
    confident = sorted(wrong, key=lambda row: (-samples[row].confidence, samples[row].key))
    # the classes go through the samples the other way round, so that they do not repeat the random sample
    queues = {
        "random": iter(shuffled),
        "worst": iter(worst),
        "confident": iter(confident),
        "class": _by_class(samples, shuffled[::-1]),
    }
    for group in cycle(TURNS):
        if not queues:
            return
        row = next(queues[group], None) if group in queues else None
        if row is not None:
            yield group, row
        else:
            queues.pop(group, None)


def _by_class(samples: Sequence[Judged], order: Sequence[int]) -> Iterator[int]:
    """Rows, one of each class in turn."""
    members: dict[str, list[int]] = {}
    for row in order:
        for name in samples[row].classes:
            members.setdefault(name, []).append(row)
    rounds = [iter(members[name]) for name in sorted(members)]
    while rounds:
        named = [(rows, next(rows, None)) for rows in rounds]
        yield from (row for _, row in named if row is not None)
        rounds = [rows for rows, row in named if row is not None]


def collect(
    named: Iterator[tuple[str, int]],
    *,
    make: Callable[[int], Card],
    size_of: Callable[[Card], int],
    num_samples: int,
    max_bytes: int,
) -> dict[int, Shown[Card]]:
    """The samples to show by row, in the order they were first named, at most so many and of so many bytes together.

    It ends with the first sample that does not fit, and so never prefers small ones.
    """
    shown: dict[int, Shown[Card]] = {}
    num_bytes = 0
    for group, row in named:
        if row not in shown:
            if len(shown) == num_samples:
                break
            card = make(row)
            num_bytes += size_of(card)
            if num_bytes > max_bytes:
                break
            shown[row] = Shown(card)
        if group not in shown[row].groups:
            shown[row].groups.append(group)
    return shown
