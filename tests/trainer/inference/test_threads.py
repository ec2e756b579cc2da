"""Batches in parallel on a CPU: the same results in the same order."""

import threading
from collections.abc import Iterator

import pytest
import torch

from latexify.trainer.inference.threads import run_in_threads


@pytest.fixture
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
def test_batches_run_at_once_and_come_in_their_order() -> None:
    """Answers in another order would be those of other inks."""
    together = threading.Barrier(2, timeout=20)

    def work(number: int) -> tuple[int, int]:
        if number < 2:
            together.wait()  # breaks if they run one after another
        return number, torch.get_num_threads()

    assert list(run_in_threads(work, range(9), num_threads=2)) == [(number, 1) for number in range(9)]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("_two_threads")
def test_batches_are_taken_a_few_ahead() -> None:
    """All pictures of a split at once would fill the memory."""
    taken: list[int] = []

    def batches() -> Iterator[int]:
        for i in range(50):
            taken.append(i)
            yield i

    results = run_in_threads(lambda number: number, batches(), num_threads=2)
    assert next(results) == 0
    assert len(taken) == 3
    results.close()  # type: ignore[attr-defined]  # a generator's


@pytest.mark.usefixtures("_two_threads")
def test_an_error_reaches_the_caller() -> None:
    """A batch that fails must not be dropped silently."""

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(run_in_threads(work, range(9), num_threads=2))


def test_one_thread_runs_one_batch_at_a_time() -> None:
    """On a GPU two batches would want twice the memory that `predict.batch_size` was set for."""
    threads = set(run_in_threads(lambda _: threading.get_ident(), range(3), num_threads=1))
    assert threads == {threading.get_ident()}
