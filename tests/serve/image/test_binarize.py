"""Ink is found on uneven paper, with its stroke width; everything else on the picture is left out."""

import numpy as np
import pytest

from latexify.common.errors import LatexifyError
from latexify.serve.image.binarize import binarize
from tests.support.handwriting import HEIGHT_PX, WIDTH_PX, Floats, ink

ROWS, COLUMNS = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]


def photo(pen: Floats, *, paper: Floats | float = 220.0, contrast: float = 0.7) -> np.ndarray:
    """A grey picture of the pen's ink on paper of a given brightness."""
    return (paper * (1 - contrast * pen)).clip(0, 255).astype(np.uint8)


def cropped(pen: Floats) -> np.ndarray:
    """The ink as a mask, cropped to it."""
    mask = pen > 0.5
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def overlap(mask: np.ndarray, expected: np.ndarray) -> float:
    """Intersection over union of two masks of about the same shape, at their common corner."""
    assert all(abs(a - b) <= 4 for a, b in zip(mask.shape, expected.shape, strict=True))
    height, width = np.minimum(mask.shape, expected.shape)
    one, other = mask[:height, :width], expected[:height, :width]
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize(
    ("paper", "contrast"),
    [(220.0, 0.7), (220.0, 0.3), (80 + 150 * COLUMNS / WIDTH_PX, 0.7), (np.where(COLUMNS + ROWS > 500, 230, 200), 0.6)],
)
def test_ink_is_found_on_any_paper(paper: Floats | float, contrast: float) -> None:
    """In uneven light no single grey value separates ink from paper."""
    pen = ink(pen_px=8)
    mask, width_px = binarize(photo(pen, paper=paper, contrast=contrast))
    assert overlap(mask, cropped(pen)) > 0.75
    assert width_px == pytest.approx(8, rel=0.3)


def test_light_ink_on_dark_gives_the_same_mask() -> None:
    """A blackboard is as good as paper."""
    picture = photo(ink())
    mask, width_px = binarize(picture)
    inverse, inverse_width_px = binarize(255 - picture)
    assert overlap(inverse, mask) > 0.9
    assert inverse_width_px == pytest.approx(width_px, rel=0.1)


@pytest.mark.parametrize("pen_px", [3, 6, 16])
def test_the_stroke_width_is_measured(pen_px: float) -> None:
    """Tracing scales the mask by it."""
    assert binarize(photo(ink(pen_px=pen_px)))[1] == pytest.approx(pen_px, abs=2.5)


def test_dust_and_faint_marks_are_not_ink() -> None:
    """Each speck would become a dot of the formula, and each fold a fraction bar."""
    pen = ink(pen_px=8)
    marked = photo(pen)
    marked[30:32, 30:32] = 20
    marked[200:203, 5:120] = 195
    assert np.array_equal(binarize(marked)[0], binarize(photo(pen))[0])


@pytest.mark.parametrize(
    "picture",
    [
        np.full((200, 300), 255),
        np.mgrid[0:300, 0:400][1] / 4 + 100,
        np.random.default_rng(1).normal(200, 6, (300, 400)),
        np.full((1, 1), 0),
    ],
)
def test_a_blank_picture_is_an_error(picture: np.ndarray) -> None:
    """A formula made of noise would be worse."""
    with pytest.raises(LatexifyError, match="blank"):
        binarize(picture.clip(0, 255).astype(np.uint8))
