"""Pictures that are not traced are fitted to the canvas as ink is."""

from dataclasses import replace

import numpy as np
import pytest

from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.drawing.pictures import draw_rows, fit_picture, sizes_of
from latexify.pipeline.inks.ink import CroppedPicture, Ink
from latexify.shards.format.png import encode_png
from tests.support.handwriting import strokes

CANVAS = Canvas(height_px=40, width_px=100, margin_px=3, pen_width_px=2)


def picture(height: int, width: int, *, usual: float | None = 10.0, grey: int = 0) -> CroppedPicture:
    """A frame of this size: its outline is ink."""
    pixels = np.full((height, width), 255, np.uint8)
    pixels[[0, -1]] = pixels[:, [0, -1]] = grey
    return CroppedPicture(png=encode_png(pixels), usual_stroke_px=usual)


def box(coverage: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of the ink."""
    rows, columns = np.nonzero(coverage > 0)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


@pytest.mark.parametrize(("height", "width"), [(300, 200), (8, 5), (10, 200), (1, 1000), (1000, 1)])
def test_a_picture_fills_the_canvas_inside_the_margins(height: int, width: int) -> None:
    """Large and small pictures, and long ones, keep their proportions and are centred."""
    top, bottom, left, right = box(fit_picture(picture(height, width), CANVAS))
    assert min(top, left) >= 3
    assert bottom <= 36
    assert right <= 96
    assert top == 3 or left == 3
    assert abs(top - (39 - bottom)) <= 1
    assert abs(left - (99 - right)) <= 1
    if min(height, width) > 1:
        assert (bottom - top + 1) / (right - left + 1) == pytest.approx(height / width, rel=0.2)


def test_the_usual_stroke_is_at_most_as_large_as_that_of_ink() -> None:
    """A single letter would otherwise be larger than those of a long formula."""
    limited = replace(CANVAS, max_stroke_px=5)
    top, bottom, left, right = box(fit_picture(picture(20, 30, usual=20.0), limited))
    assert (bottom - top + 1, right - left + 1) == (5, 8)


def test_a_dot_is_as_large_as_the_pen() -> None:
    """As a tap of the pen is."""
    top, bottom, left, right = box(fit_picture(picture(7, 7, usual=None), CANVAS))
    assert (bottom - top + 1, right - left + 1) == (2, 2)


def test_fine_strokes_stay_black() -> None:
    """A photograph is reduced twenty times, and its pen would be faint."""
    assert fit_picture(picture(600, 900), CANVAS).max() == 255
    assert fit_picture(picture(20, 30, grey=250), CANVAS).max() == 255


def test_rows_of_any_kind_are_drawn_in_their_order() -> None:
    """Datasets may be mixed."""
    stepped = replace(CANVAS, width_step_px=20, height_step_px=10, max_stroke_px=12.0)
    facts = {"split": "train", "label": "x", "normalized_label": "x", "writer": None, "source": "s"}
    inks = [
        Ink(key="a", strokes=strokes(), **facts),  # type: ignore[arg-type]
        Ink(key="b", strokes=[], picture=picture(30, 20), **facts),  # type: ignore[arg-type]
        Ink(key="c", strokes=strokes(), stroke_scale=0.5, **facts),  # type: ignore[arg-type]
    ]
    drawn = list(draw_rows(inks, stepped))
    assert np.array_equal(drawn[0], draw_ink(strokes(), stepped))
    assert np.array_equal(drawn[1], ~fit_picture(picture(30, 20), stepped))
    assert np.array_equal(drawn[2], draw_ink(strokes(), replace(stepped, max_stroke_px=6.0)))
    assert [list(each.shape) for each in drawn] == sizes_of(inks, stepped).tolist()
    assert len({each.shape[0] for each in drawn}) > 1
    assert len({each.shape[1] for each in drawn}) > 1
    assert sizes_of(inks, CANVAS).tolist() == [[CANVAS.height_px, CANVAS.width_px]] * 3
