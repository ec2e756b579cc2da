"""Random numbers by place: the same in any company, and as random as others."""

import numpy as np
import pytest

from latexify.trainer.data.counters import random_bits


def test_a_row_has_its_numbers_in_any_company() -> None:
    """Otherwise another micro-batch, or a resumed run, would see other pictures."""
    many = random_bits(np.array([9, 2, 5]), 4, key=(1, 2))
    assert np.array_equal(many[1:2], random_bits(np.array([2]), 4, key=(1, 2)))
    rows, visits = np.array([9, 2, 9]), np.array([1, 0, 0])
    mixed = random_bits(rows, 4, key=(1, 2), visits=visits)
    for number in range(3):
        one = slice(number, number + 1)
        assert np.array_equal(mixed[one], random_bits(rows[one], 4, key=(1, 2), visits=visits[one]))
    assert not np.array_equal(mixed[0], mixed[2]), "a row that was drawn before has other numbers"
    assert np.array_equal(mixed[2], many[0])


def test_numbers_are_uniform_and_independent() -> None:
    """Rows, columns and keys that lie side by side must not be alike."""
    rows = np.arange(20_000)
    uniform = [random_bits(rows, 10, key=(1,), visits=np.full(20_000, visit)) / 2.0**64 for visit in (0, 1)]
    for values in uniform:
        assert values.mean() == pytest.approx(0.5, abs=0.003)
        assert values.std() == pytest.approx(12**-0.5, abs=0.002)
        assert np.histogram(values, bins=20, range=(0, 1))[0] == pytest.approx(10_000, rel=0.05)
        between_columns = np.corrcoef(values.T) - np.eye(10)
        assert np.abs(between_columns).max() < 0.03
        assert abs(np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(uniform[0].ravel(), uniform[1].ravel())[0, 1]) < 0.01


def test_the_sequence_is_that_of_splitmix64() -> None:
    """Reference values of S. Vigna's splitmix64.c, seed 1234567."""

    class Fixed:
        def generate_state(self, *_: object) -> np.ndarray:
            return np.array([1234567], dtype=np.uint64)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("latexify.trainer.data.counters.np.random.SeedSequence", lambda _key: Fixed())
        found = random_bits(np.array([0]), 3, key=(0,))[0]
    assert found.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
