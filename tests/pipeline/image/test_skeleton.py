"""Masks of strokes become lines through their middle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from latexify.pipeline.image.skeleton import skeletonize


def canvas(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    """A mask of filled boxes: top, left, bottom, right."""
    mask = np.zeros((120, 200), np.bool_)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = True
    return mask


def test_a_bar_becomes_one_line_through_its_middle() -> None:
    """Not its outline, and without branches at its corners."""
    (line,) = skeletonize(canvas((50, 20, 58, 180)), width_px=8)
    assert line.dtype == np.float32
    assert np.abs(line[:, 1] - 53.5).max() < 1.5
    assert np.ptp(line[:, 0]) == pytest.approx(160, abs=12)
    assert np.abs(np.diff(line[:, 0])).max() < 4


def test_a_dot_is_one_short_line() -> None:
    """Decimal points must survive."""
    (dot,) = skeletonize(canvas((50, 60, 58, 68)), width_px=8)
    assert np.ptp(dot, axis=0).max() < 4
    assert np.abs(dot.mean(axis=0) - [63.5, 53.5]).max() < 2


def test_a_cross_is_cut_where_its_strokes_meet() -> None:
    """Four arms that end near the crossing."""
    lines = [line for line in skeletonize(canvas((50, 20, 58, 180), (10, 96, 110, 104)), width_px=8) if len(line) > 10]
    assert len(lines) == 4
    for line in lines:
        assert np.abs(line - [99.5, 53.5]).max(axis=1).min() < 6


def test_a_ring_is_one_closed_line() -> None:
    """An o without ends."""
    rows, columns = np.mgrid[0:100, 0:100]
    radius = np.hypot(rows - 50, columns - 50)
    (line,) = skeletonize((radius > 26) & (radius < 34), width_px=8)
    assert np.array_equal(line[0], line[-1])
    assert np.abs(np.hypot(*(line - 50).T) - 30).max() < 3


def test_the_scale_of_the_mask_makes_no_difference() -> None:
    """A large photograph must give the same strokes as a small one."""
    small = canvas((50, 20, 58, 180))
    (line,) = skeletonize(small, width_px=8)
    (large,) = skeletonize(np.kron(small, np.ones((3, 3), np.bool_)), width_px=24)
    assert np.abs(large[:, 1] / 3 - 53.5).max() < 1.5
    assert np.ptp(large[:, 0]) / 3 == pytest.approx(np.ptp(line[:, 0]), abs=3)


def test_noise_gives_a_bounded_number_of_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture full of ink took 6 s."""
    mask = np.random.default_rng(1).random((160, 160)) < 0.5
    assert sum(map(len, skeletonize(mask, width_px=2))) > 30_000
    monkeypatch.setattr("latexify.pipeline.image.skeleton.MAX_INK_PIXELS", 4000)
    assert sum(map(len, skeletonize(mask, width_px=2))) < 8000


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))).filter(np.any),
    st.floats(1, 8),
)
def test_any_mask_gives_lines_within_its_bounds(mask: np.ndarray, width_px: float) -> None:
    """Points outside would be drawn beyond the margin."""
    for line in skeletonize(mask, width_px=width_px):
        assert line.ndim == 2
        assert line.shape[1] == 2
        assert (line >= -1).all()
        assert (line <= [mask.shape[1] + 1, mask.shape[0] + 1]).all()
