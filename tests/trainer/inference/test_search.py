"""Detection of loops: a model that repeats itself is stopped, a long formula is not."""

import pytest

from latexify.trainer.inference.search import LOOP_TOKENS, MAX_PERIOD, is_loop_check_due, loop_start


@pytest.mark.parametrize("period", [1, 2, MAX_PERIOD])
def test_loops_are_cut_after_their_first_round(period: int) -> None:
    """A model that repeats itself must not fill the page, or waste the time of the user."""
    beginning, loop = [90, 91, 92], list(range(period))
    rounds = -(-LOOP_TOKENS // period)
    ids = beginning + loop * rounds
    start = loop_start(ids)
    assert start is not None
    assert ids[:start] == beginning + loop
    assert loop_start(beginning + loop * (rounds - 1)) is None or period * (rounds - 1) >= LOOP_TOKENS


def test_long_formulas_are_not_loops() -> None:
    """A wide matrix of zeros repeats itself, too."""
    row = [1, 2] * 8 + [3]
    assert loop_start(row * 6) is None
    assert loop_start([5] * (LOOP_TOKENS - 1)) is None
    assert not is_loop_check_due(LOOP_TOKENS - 16)
