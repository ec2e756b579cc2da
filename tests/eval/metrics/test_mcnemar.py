"""The exact test of McNemar."""

import numpy as np
import pytest

from latexify.eval.metrics.edits import count_edits
from latexify.eval.metrics.mcnemar import exact_p_value
from latexify.eval.metrics.rates import rate_differences


def columns(num_won: int, num_lost: int, num_equal: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Two systems: samples that only the second has right, only the first, both."""
    first = [0] * num_won + [1] * num_lost + [1] * num_equal
    second = [1] * num_won + [0] * num_lost + [1] * num_equal
    return np.array(first), np.array(second)


@pytest.mark.parametrize(
    ("num_won", "num_lost", "p_value"), [(5, 0, 0.0625), (4, 0, 0.125), (16, 4, 0.011818), (0, 0, 1), (3, 3, 1)]
)
def test_known_values(num_won: int, num_lost: int, p_value: float) -> None:
    """The bootstrap says 0.011 of 5 to 0, and a reader would believe in a difference."""
    first, second = columns(num_won, num_lost)
    assert exact_p_value(first, second) == pytest.approx(p_value, abs=1e-6)
    assert exact_p_value(second, first) == pytest.approx(p_value, abs=1e-6)


def test_comparisons_use_it_where_samples_are_counted() -> None:
    """Exact match and its neighbours have it; error rates are no shares of samples."""
    references = ["abcd"] * 30
    worse = ["abcx"] * 5 + ["abcd"] * 25
    differences = rate_differences(
        count_edits(references, worse).columns(),
        count_edits(references, references).columns(),
        num_resamples=200,
        seed=1,
    )
    assert differences["exact_match"].p_value == 0.0625
    assert differences["exact_match_field"].p_value == 0.0625
    assert differences["within_1"].p_value == 1
    assert differences["cer"].p_value < 0.05


def test_it_errs_as_often_as_it_says() -> None:
    """Of comparisons without a difference, at most one in twenty has a p-value below 0.05."""
    rng = np.random.default_rng(3)
    pairs = [rng.random((2, 60)) < 0.8 for _ in range(400)]
    assert np.mean([exact_p_value(one, other) < 0.05 for one, other in pairs]) <= 0.05
