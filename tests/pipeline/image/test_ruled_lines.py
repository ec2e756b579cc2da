"""Ruled lines disappear, and the ink that crosses them stays."""

import numpy as np
import pytest

from latexify.pipeline.image.ruled_lines import remove_ruled_lines

HEIGHT, WIDTH = 200, 400


def ruled() -> np.ndarray:
    """A page with a line every 50 rows."""
    return np.tile(np.arange(HEIGHT)[:, None] % 50 < 2, (1, WIDTH))


@pytest.mark.parametrize("slope", [0.0, 0.03, -0.05])
def test_lines_from_edge_to_edge_are_removed(slope: float) -> None:
    """They would be traced as fraction bars; cameras are rarely held straight."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    offset = rows - (100 + slope * (columns - WIDTH / 2)).astype(int)
    mask = (offset >= 0) & (offset < 2)
    assert remove_ruled_lines(mask).sum() < 0.05 * mask.sum()


def test_vertical_lines_are_removed() -> None:
    """Squared paper has them too."""
    assert not remove_ruled_lines(ruled().T[:, 10:]).any()


def test_a_stroke_across_a_line_stays() -> None:
    """A symbol that is cut in two is read as two."""
    mask = ruled()[10:-10]
    stroke = np.zeros_like(mask)
    stroke[20:160, 200:206] = True
    cleaned = remove_ruled_lines(mask | stroke)
    assert cleaned[20:160, 201:205].all()
    assert cleaned[:, 300].sum() == 0


@pytest.mark.parametrize(
    "box",
    [
        (slice(90, 94), slice(40, 360)),  # a fraction bar, which ends before the edges
        (slice(60, 100), slice(0, WIDTH)),  # too thick
    ],
)
def test_other_ink_is_unchanged(box: tuple[slice, slice]) -> None:
    """Only thin lines from edge to edge are ruled lines."""
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[box] = True
    assert np.array_equal(remove_ruled_lines(mask), mask)


def test_a_steep_line_stays() -> None:
    """A diagonal from edge to edge is a stroke."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    mask = abs(rows - columns // 2) < 2
    assert np.array_equal(remove_ruled_lines(mask), mask)


def test_the_argument_is_unchanged_and_tiny_pictures_are_accepted() -> None:
    """The caller still needs its mask."""
    mask = ruled()
    before = mask.copy()
    remove_ruled_lines(mask)
    assert np.array_equal(mask, before)
    assert remove_ruled_lines(np.ones((1, 1), np.bool_)).all()
