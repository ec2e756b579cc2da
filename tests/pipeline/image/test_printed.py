"""Dots of a grid and lines for the answer are told from what belongs to a formula."""

import numpy as np
import pytest
from PIL import Image

from latexify.pipeline.image.components import ConnectedComponents, label_components
from latexify.pipeline.image.printed import is_answer_line, is_grid_dot
from tests.support.handwriting import HEIGHT_PX, WIDTH_PX, ink

PEN_PX = 6


def grid(pitch: int = 40, radius: float = 4.0) -> np.ndarray:
    """The dots of a grid, bool [height, width]."""
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    return np.asarray(np.hypot(rows % pitch - pitch // 2, columns % pitch - pitch // 2) < radius)


def turned(mask: np.ndarray, degrees: float) -> np.ndarray:
    """The mask, turned around its middle."""
    return np.asarray(Image.fromarray(mask).rotate(degrees))


def kept(mask: np.ndarray) -> ConnectedComponents:
    """The components without the dots of a grid."""
    components = label_components(mask)
    return components.select(~is_grid_dot(components))


@pytest.mark.parametrize("degrees", [0, 3, 20, 45])
@pytest.mark.parametrize(("pitch", "radius"), [(40, 4.0), (25, 2.5), (60, 6.0)])
def test_dots_of_a_grid_are_found(degrees: float, pitch: int, radius: float) -> None:
    """Lone letters drowned in them."""
    pen = ink() > 0.5
    components = kept(turned(grid(pitch, radius), degrees) | pen)
    num_written = label_components(pen).count
    assert components.count <= num_written + 4  # a dot at the picture's edge may be cut
    assert components.areas.sum() >= pen.sum()


def test_dots_that_are_written_stay() -> None:
    """The dot of an i, a decimal point, three dots."""
    mask = ink() > 0.5
    for column in (300, 330, 360):
        mask[330:338, column : column + 8] = True
    assert not is_grid_dot(label_components(mask)).any()
    mask |= grid(40, 3.0)
    mask[150:164, 220:234] = True  # larger than the dots of the grid
    assert (kept(mask).areas >= 150).sum() >= label_components(ink() > 0.5).count


def test_random_specks_are_no_grid() -> None:
    """Dust is left to the limit of size."""
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.bool_)
    for row, column in np.random.default_rng(1).integers(5, 400, (60, 2)):
        mask[row : row + 4, column : column + 4] = True
    assert is_grid_dot(label_components(mask)).mean() < 0.1


def drawn(*lines: tuple[int, int, int]) -> ConnectedComponents:
    """Two symbols side by side, 100 pixels high, and horizontal lines: row, first and last column."""
    mask = np.zeros((300, 500), np.bool_)
    for left in (100, 250):
        mask[50:150, left : left + 100] = True
        mask[56:144, left + 6 : left + 94] = False
    for row, start, stop in lines:
        mask[row : row + PEN_PX, start:stop] = True
    return label_components(mask)


@pytest.mark.parametrize(
    ("lines", "num_found"),
    [
        ([(170, 90, 360)], 1),
        ([(200, 130, 340)], 1),
        ([(170, 90, 360), (185, 90, 360)], 2),
        ([(170, 90, 360), (220, 200, 260)], 0),
        ([(170, 90, 190)], 0),
        ([(100, 380, 480)], 0),
        ([(30, 90, 360)], 0),
    ],
    ids=["longer", "shorter", "double", "a fraction bar", "under one symbol", "a minus sign", "above"],
)
def test_lines_below_everything_are_found(lines: list[tuple[int, int, int]], num_found: int) -> None:
    """They were read as fraction bars, and fraction bars must not be lost."""
    assert is_answer_line(drawn(*lines), PEN_PX).sum() == num_found


@pytest.mark.parametrize(("length", "is_found"), [(60, False), (80, False), (200, True)])
def test_the_lower_bar_of_a_single_symbol_stays(length: int, is_found: bool) -> None:  # noqa: FBT001  # a table
    """`±`, `≤` and `=` have a line below everything, too."""
    mask = np.zeros((200, 300), np.bool_)
    mask[40:46, 120:180] = True
    mask[14:72, 147:153] = True
    mask[90:96, 150 - length // 2 : 150 + length // 2] = True
    assert is_answer_line(label_components(mask), PEN_PX).any() == is_found


def test_a_formula_without_a_line_has_none() -> None:
    """The lowest component is a ring and a dot."""
    assert not is_answer_line(label_components(ink() > 0.5), PEN_PX).any()
    assert not is_answer_line(label_components(np.ones((6, 80), np.bool_)), PEN_PX).any()
