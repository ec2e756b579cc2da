"""Runtimes with and without torch."""

from itertools import chain

import pytest

from tests.support.constrained_search import TOKENS, constraint_of, random_logits, search


@pytest.mark.parametrize("num_beams", [1, 4])
@pytest.mark.parametrize("constrained", [True, False])
def test_numpy_and_torch_choose_the_same_tokens(num_beams: int, *, constrained: bool) -> None:
    """Without torch the answers must be those that it gives, with the same confidence."""
    tokens = list(TOKENS)
    logits = random_logits(11, samples=20, steps=40, vocabulary=len(tokens) + 1, end=1.0)
    constraint = constraint_of(tokens) if constrained else None
    expected, results = (
        list(chain.from_iterable(search(logits, constraint, num_beams=num_beams, by_torch=by_torch)))
        for by_torch in (True, False)
    )
    assert [best.ids for best in results] == [best.ids for best in expected]
    assert [best.confidence for best in results] == pytest.approx([best.confidence for best in expected], rel=1e-5)
