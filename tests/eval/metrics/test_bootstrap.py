"""Bootstrap intervals and paired differences: they have the statistical properties that they promise."""

import numpy as np
import pytest

from latexify.eval.metrics.bootstrap import paired_difference, ratio_interval, resampled_totals


def test_resampling_counts_is_resampling_samples() -> None:
    """Drawing how often each kind of sample comes up must give the spread of drawing samples one by one."""
    rng = np.random.default_rng(5)
    rows = np.stack([rng.integers(0, 3, 400), rng.integers(1, 4, 400)], axis=1)
    drawn = rng.integers(400, size=(4000, 400))
    plain = rows[drawn].sum(axis=1)
    quick = resampled_totals(rows, num_resamples=4000, seed=1)
    assert quick.mean(axis=0) == pytest.approx(plain.mean(axis=0), rel=0.005)
    assert np.cov(quick.T) == pytest.approx(np.cov(plain.T), rel=0.1, abs=15)
    assert np.array_equal(quick, np.rint(quick))


def test_many_kinds_of_samples_are_resampled_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million long texts may all have different counts: 2,000 resamples of them would take an hour."""
    rng = np.random.default_rng(6)
    under = rng.permutation(3000) + 1
    over = rng.binomial(under, 0.3)
    interval = ratio_interval(over, under, num_resamples=1000, seed=1)
    assert interval is not None
    monkeypatch.setattr("latexify.eval.metrics.bootstrap.MAX_GROUPS", 500)
    assert ratio_interval(over, under, num_resamples=1000, seed=1) == pytest.approx(interval, rel=0.002)


def test_order_of_samples_does_not_change_an_interval() -> None:
    """Files of the same answers in another order must give the same figures."""
    rng = np.random.default_rng(7)
    over, under = rng.integers(0, 5, 50), rng.integers(5, 9, 50)
    order = rng.permutation(50)
    one, other = (ratio_interval(over[rows], under[rows], num_resamples=100, seed=1) for rows in (slice(None), order))
    assert one == other


def test_paired_differences_see_what_intervals_do_not() -> None:
    """Two systems that err on the same samples differ surely, though their own intervals overlap widely."""
    rng = np.random.default_rng(8)
    first = rng.random(500) < 0.5
    second = first | (rng.random(500) < 0.04)
    difference = paired_difference(first, second, np.ones(500), num_resamples=1000, seed=1)
    assert difference.value == pytest.approx(second.mean() - first.mean())
    assert 0 < difference.low <= difference.value <= difference.high
    assert difference.p_value < 0.01
    chance = paired_difference(first, rng.permutation(first), np.ones(500), num_resamples=1000, seed=1)
    assert chance.p_value > 0.5


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    """A test that cries wolf more often than it says would make results of noise."""
    rng = np.random.default_rng(9)
    values = []
    for seed in range(200):
        one, two = rng.random((2, 200)) < 0.7
        values.append(paired_difference(one, two, np.ones(200), num_resamples=200, seed=seed).p_value)
    assert 0.02 < np.mean(np.array(values) < 0.1) < 0.19
