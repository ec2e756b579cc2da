"""Choice of the samples that the gallery shows: half of them at random, so that they represent the split."""

from collections import defaultdict
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
"""Why a sample was chosen, and the text for it."""
TURNS = ("random", "class", "random", "worst", "random", "class", "random", "confident", "random", "worst")
"""Order in which the groups choose, so that half of the gallery is a random sample wherever it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryCandidate:
    """The facts of a sample on which the choice depends."""

    key: str
    num_errors: int
    error_rate: float
    confidence: float
    classes: tuple[str, ...] = ()  # groups of samples that it belongs to


@dataclass(slots=True)
class GalleryItem(Generic[Card]):
    """One sample of the gallery: its card, and every group that chose it."""

    card: Card
    groups: list[str] = field(default_factory=list)


def gallery_order(samples: Sequence[GalleryCandidate], *, seed: int) -> Iterator[tuple[str, int]]:
    """Yield (group, row) in display order until every group has chosen all its samples.

    random: all rows in random order, so that those chosen so far always are a random sample. worst: wrong ones, most
    character edits per reference character first. confident: wrong ones, the most confident first. class: each class in
    turn chooses its next row in random order.
    """
    shuffled = np.random.default_rng(seed).permutation(len(samples)).tolist()
    wrong = [row for row, sample in enumerate(samples) if sample.num_errors]
    worst = sorted(wrong, key=lambda row: (-samples[row].error_rate, -samples[row].confidence, samples[row].key))
    confident = sorted(wrong, key=lambda row: (-samples[row].confidence, samples[row].key))
    by_class = _by_class(samples, shuffled[::-1])  # in reverse, so that the classes do not repeat the random sample
    queues = {"random": iter(shuffled), "worst": iter(worst), "confident": iter(confident), "class": by_class}
    for group in cycle(TURNS):
        if not queues:
            return
        row = next(queues[group], None) if group in queues else None
        if row is not None:
            yield group, row
        else:
            queues.pop(group, None)


def _by_class(samples: Sequence[GalleryCandidate], order: Sequence[int]) -> Iterator[int]:
    """Rows, one of each class in turn."""
    members = defaultdict(list)
    for row in order:
        for name in samples[row].classes:
            members[name].append(row)
    queues = [iter(members[name]) for name in sorted(members)]
    while queues:
        chosen = [(queue, next(queue, None)) for queue in queues]
        yield from (row for _, row in chosen if row is not None)
        queues = [queue for queue, row in chosen if row is not None]


def fill_gallery(
    order: Iterator[tuple[str, int]],
    *,
    make: Callable[[int], Card],
    size_of: Callable[[Card], int],
    num_samples: int,
    max_bytes: int,
) -> dict[int, GalleryItem[Card]]:
    """Collect samples by row, in the `order` of :func:`gallery_order` in which they were first chosen.

    `make` makes the card of a row, `size_of` computes its size in bytes. Filling stops at `num_samples`, or at the
    first sample that would exceed `max_bytes` in all, rather than prefer small ones.
    """
    items: dict[int, GalleryItem[Card]] = {}
    num_bytes = 0
    for group, row in order:
        if row not in items:
            if len(items) == num_samples:
                break
            card = make(row)
            num_bytes += size_of(card)
            if num_bytes > max_bytes:
                break
            items[row] = GalleryItem(card)
        if group not in items[row].groups:
            items[row].groups.append(group)
    return items
