"""Ink is found on uneven paper, with its stroke width; everything else on the picture is left out."""

import numpy as np
import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.image.binarize import binarize
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


@pytest.mark.parametrize("pen_px", [20, 36, 50])
@pytest.mark.parametrize("is_light", [False, True])
def test_thick_strokes_on_even_paper_are_found_whole(pen_px: float, is_light: bool) -> None:  # noqa: FBT001
    """A marker on a small canvas became a cloud of dots."""
    pen = ink(pen_px=pen_px)
    mask, width_px = binarize((255 * (pen if is_light else 1 - pen)).astype(np.uint8))
    assert overlap(mask, cropped(pen)) > 0.95
    assert width_px == pytest.approx(pen_px, rel=0.15)


@pytest.mark.parametrize("pen_px", [20, 36])
def test_thick_strokes_in_uneven_light_are_found_whole(pen_px: float) -> None:
    """A photographed poster or whiteboard."""
    pen = ink(pen_px=pen_px)
    mask, _ = binarize(photo(pen, paper=80 + 150 * COLUMNS / WIDTH_PX))
    assert overlap(mask, cropped(pen)) > 0.95


def test_a_thick_bar_alone_is_found() -> None:
    """A minus sign: nothing else says how thick the pen is."""
    bar = np.zeros((120, 280))
    bar[48:72, 30:250] = 1
    assert binarize((255 * (1 - bar)).astype(np.uint8))[0].all()


def test_a_shadow_is_not_thick_ink() -> None:
    """The shadow of a hand is as wide as a marker's stroke, but not as dark as the ink."""
    pen = ink(pen_px=6)
    shadow = np.where(abs(COLUMNS - 350) < 30, 0.7, 1.0)
    mask, width_px = binarize(photo(pen, paper=220 * shadow))
    assert width_px == pytest.approx(6, rel=0.3)
    assert overlap(mask, cropped(pen)) > 0.75


def test_a_frame_is_not_ink() -> None:
    """Around ink that is found by its surroundings as well as on even paper."""
    pen = ink(margin_px=110)
    framed = pen.copy()
    framed[70:-70, 60:-60] = 1
    framed[75:-75, 65:-65] = pen[75:-75, 65:-65]
    for paper in (220.0, 80 + 150 * COLUMNS / WIDTH_PX):
        assert overlap(binarize(photo(framed, paper=paper))[0], binarize(photo(pen, paper=paper))[0]) > 0.97
