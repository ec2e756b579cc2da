"""Sequences that go round in circles: a decoder that has lost its place repeats itself until it is stopped."""

from collections.abc import Sequence

LOOP_TOKENS = 48
"""So many tokens at the end of a sequence that repeat with a short period are a loop."""

MAX_PERIOD = 12
"""The longest period looked for: four rounds of it."""

CHECKED_EVERY = 16
"""Steps between two looks, at the same steps whatever the batch."""


def is_due(length: int) -> bool:
    """Whether sequences of this length are to be looked at."""
    return length >= LOOP_TOKENS and length % CHECKED_EVERY == 0


def loop_start(ids: Sequence[int]) -> int | None:
    """Where the second round of a loop at the end begins, so that `ids[:start]` has one; None where there is none."""
    length = len(ids)
    for period in range(1, MAX_PERIOD + 1):
        start = length
        while start > period and ids[start - 1] == ids[start - 1 - period]:
            start -= 1
        if length - start + period >= LOOP_TOKENS:
            return start
    return None
