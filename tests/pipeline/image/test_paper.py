"""Even paper is told from a desk, a board and uneven light."""

import numpy as np
import pytest

from latexify.pipeline.image.paper import NARROW, even_contrast, local_contrast
from tests.support.handwriting import HEIGHT_PX, WIDTH_PX, ink

COLUMNS = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX][1]


def desk() -> np.ndarray:
    """A sheet with writing on a dark desk that is as even as the sheet."""
    grey = np.full((HEIGHT_PX, WIDTH_PX), 40.0)
    grey[120:300, 180:520] = (235 - 195 * ink(margin_px=150))[120:300, 180:520]
    return grey


def board() -> np.ndarray:
    """A blackboard on a light wall."""
    grey = np.full((HEIGHT_PX, WIDTH_PX), 230.0)
    grey[80:340, 150:550] = (50 + 150 * ink())[80:340, 150:550]
    return grey


@pytest.mark.parametrize("is_light", [False, True])
def test_ink_on_even_paper_stands_out_whole(is_light: bool) -> None:  # noqa: FBT001
    """Of thick strokes only the rims were left."""
    pen = ink(pen_px=50)
    contrast = even_contrast((255 * (pen if is_light else 1 - pen)).astype(np.uint8))
    assert contrast is not None
    assert np.array_equal(contrast > 127, pen > 0.5)


@pytest.mark.parametrize(
    "grey",
    [
        pytest.param((80 + 150 * COLUMNS / WIDTH_PX) * (1 - 0.7 * ink()), id="uneven light"),
        pytest.param(desk(), id="a sheet on a desk"),
        pytest.param(board(), id="a board on a wall"),
        pytest.param(230 - 20 * ink(), id="faint ink"),
        pytest.param(np.full((50, 60), 200.0), id="blank"),
    ],
)
def test_other_pictures_have_no_even_paper(grey: np.ndarray) -> None:
    """The sheet, or the board, would be taken for ink."""
    assert even_contrast(grey.astype(np.uint8)) is None


def test_local_contrast_follows_the_light() -> None:
    """Ink in the shade stands out as much as ink in the light."""
    pen = ink(pen_px=6)
    contrast = local_contrast(((80 + 150 * COLUMNS / WIDTH_PX) * (1 - 0.7 * pen)).astype(np.uint8), NARROW)
    inked = (pen > 0.99) & (contrast > 0)
    left, right = (np.median(contrast[inked & side]) for side in (COLUMNS < 250, COLUMNS > 450))
    assert left == pytest.approx(right, rel=0.1)
