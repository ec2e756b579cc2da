"""A frame around the formula disappears, and everything else stays."""

import numpy as np
import pytest
from PIL import Image

from latexify.pipeline.image.frames import remove_frames
from tests.support.handwriting import HEIGHT_PX, WIDTH_PX, ink

PEN = ink(margin_px=110) > 0.5


def framed(*, top: int = 70, left: int = 60, width_px: int = 5, degrees: float = 0.0) -> np.ndarray:
    """A rectangular frame, as a mask."""
    box = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    box[top:-top, left:-left] = 255
    box[top + width_px : -top - width_px, left + width_px : -left - width_px] = 0
    return np.asarray(Image.fromarray(box).rotate(degrees, Image.Resampling.BICUBIC)) > 127


@pytest.mark.parametrize("degrees", [0.0, 2.0, -4.0])
@pytest.mark.parametrize("width_px", [2, 5, 12])
def test_a_frame_is_removed(width_px: int, degrees: float) -> None:
    """An answer box would be read as brackets, or as a fraction bar."""
    frame = framed(width_px=width_px, degrees=degrees)
    assert np.array_equal(remove_frames(PEN | frame), PEN)


def test_lines_that_touch_the_frame_go_with_it() -> None:
    """The cell of a table has the lines of its neighbours."""
    frame = framed()
    frame[70:75] = True
    frame[:70, 300:305] = True
    assert np.array_equal(remove_frames(PEN | frame), PEN)


def test_a_frame_in_a_frame_is_removed() -> None:
    """Double borders are common on printed forms."""
    assert np.array_equal(remove_frames(PEN | framed() | framed(top=55, left=45)), PEN)


def test_a_stroke_that_touches_the_frame_stays() -> None:
    """People write beyond the edge of a box; the symbol must not go with the frame."""
    tall = PEN.copy()
    tall[60:250, 500:506] = True
    left = remove_frames(tall | framed())
    assert np.array_equal(left[80:-80, 70:-70], tall[80:-80, 70:-70])
    assert left[:60].sum() == 0


def test_ink_beside_the_frame_stays() -> None:
    """Of `y = [answer]` the left part must not be lost."""
    beside = PEN.copy()
    beside[200:206, 10:40] = True
    assert np.array_equal(remove_frames(beside | framed()), beside)


def test_a_gap_in_the_frame_is_closed() -> None:
    """A box that is drawn by hand rarely closes exactly."""
    frame = framed()
    frame[:, 300:303] = False
    assert np.array_equal(remove_frames(PEN | frame), PEN)


ROWS, COLUMNS = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
RADIUS = np.hypot(ROWS - 210, COLUMNS - 350)


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(PEN, id="no frame"),
        pytest.param((RADIUS > 150) & (RADIUS < 156) | (RADIUS < 8), id="a circle with a dot"),
        pytest.param((RADIUS > 150) & (RADIUS < 156), id="a zero"),
        pytest.param(framed(), id="an empty square"),
        pytest.param(framed(left=300, top=180) | PEN, id="a small square between other symbols"),
        pytest.param(PEN | framed() & (ROWS < 300), id="three sides"),
        pytest.param(np.ones((1, 1), np.bool_), id="one pixel"),
        pytest.param(np.zeros((20, 30), np.bool_), id="nothing"),
    ],
)
def test_other_ink_is_unchanged(mask: np.ndarray) -> None:
    """A symbol that encloses something, such as a circled dot, is no frame."""
    assert np.array_equal(remove_frames(mask), mask)
