"""Thick strokes come apart where they touch, and thin ones are left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from latexify.pipeline.image.slim import slim
from tests.support.handwriting import ink

ROWS, COLUMNS = np.mgrid[0:300, 0:400]


def num_pieces(mask: np.ndarray) -> int:
    """Number of connected pieces."""
    return int(ndimage.label(mask, structure=np.ones((3, 3)))[1])


def disc(row: int, column: int, radius: float) -> np.ndarray:
    """A filled circle."""
    return np.asarray(np.hypot(ROWS - row, COLUMNS - column) <= radius)


def test_thin_strokes_are_unchanged() -> None:
    """They were read well as they are."""
    mask = ink(pen_px=8) > 0.5
    slimmer, width_px = slim(mask, 8.0)
    assert np.array_equal(slimmer, mask)
    assert width_px == 8.0


def test_strokes_that_touch_come_apart() -> None:
    """`1` and `+` side by side would be one stroke."""
    strokes = (abs(ROWS - 150) <= 120) & ((abs(COLUMNS - 100) <= 20) | (abs(COLUMNS - 200) <= 20))
    bridge = (abs(ROWS - 150) <= 8) & (abs(COLUMNS - 150) <= 60)
    slimmer, width_px = slim(strokes | bridge, 41.0)
    assert num_pieces(strokes | bridge) == 1
    assert num_pieces(slimmer) == 2
    assert width_px < 10


def test_a_loop_that_is_filled_opens_again() -> None:
    """An `a` or `6` of a thick pen is a blob with a tail."""
    tail = (abs(ROWS - 150) <= 15) & (COLUMNS > 100) & (COLUMNS < 380)
    slimmer, _ = slim(disc(150, 100, 30) | tail, 31.0)
    assert not slimmer[150, 100]
    assert ndimage.binary_fill_holes(slimmer)[150, 100]


def test_a_crossing_is_not_hollowed() -> None:
    """A plus sign has no hole in its middle."""
    plus = ((abs(ROWS - 150) <= 15) & (abs(COLUMNS - 200) <= 100)) | (
        (abs(COLUMNS - 200) <= 15) & (abs(ROWS - 150) <= 100)
    )
    slimmer, _ = slim(plus, 31.0)
    assert np.array_equal(ndimage.binary_fill_holes(slimmer), slimmer)
    assert num_pieces(slimmer) == 1


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))).filter(np.any),
    st.floats(1, 8),
)
def test_no_piece_is_lost(mask: np.ndarray, width_px: float) -> None:
    """A dot that is smaller than the strokes is a decimal point."""
    slimmer, new_width_px = slim(mask, width_px)
    assert slimmer.shape == mask.shape
    assert not (slimmer & ~mask).any()
    assert 0 < new_width_px <= width_px
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    assert set(np.unique(pieces[slimmer])) == set(range(1, count + 1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1)])
def test_tiny_masks_are_accepted(shape: tuple[int, int]) -> None:
    """No upload may end in a traceback."""
    assert slim(np.ones(shape, np.bool_), 1.0)[0].any()
