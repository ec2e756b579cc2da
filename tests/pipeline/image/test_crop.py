"""A picture that is not traced is cropped to its ink, on paper, whatever it was before."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import draw_ink
from latexify.pipeline.image.crop import crop_picture
from latexify.pipeline.image.decode import decode_image
from latexify.pipeline.image.trace import picture_of
from latexify.shards.format.png import decode_png
from tests.support.handwriting import CANVAS, encoded, ink, photographs, strokes

PHOTOGRAPHS = photographs()


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_is_cropped_to_its_ink(name: str) -> None:
    """Desk, shadow, rules and dust would be read as ink, and make the formula small."""
    picture = picture_of(PHOTOGRAPHS[name], CANVAS, is_traced=False)
    reference = draw_ink(strokes(), CANVAS)
    assert picture.shape == reference.shape
    thick = [np.asarray(Image.fromarray(each).filter(ImageFilter.MinFilter(5))) < 200 for each in (picture, reference)]
    inked = [picture < 128, reference < 128]
    assert (inked[0] & thick[1]).sum() > 0.97 * inked[0].sum()
    assert (inked[1] & thick[0]).sum() > 0.97 * inked[1].sum()
    assert np.median(picture) == 255
    assert picture.min() == 0


def test_edges_stay_soft_and_the_rest_is_paper() -> None:
    """The pixels of a scan are what such a model is trained on."""
    grey = decode_image(encoded(235 - 200 * ink() + np.random.default_rng(1).normal(0, 4, ink().shape)))
    cropped = decode_png(crop_picture(grey).png)
    rows, columns = np.nonzero(ink() > 0.5)
    assert cropped.shape == pytest.approx((np.ptp(rows) + 1, np.ptp(columns) + 1), abs=4)
    soft = (cropped > 40) & (cropped < 215)
    assert 0.005 < soft.mean() < 0.05
    assert (cropped == 255).mean() > 0.8


def test_dots_of_a_small_picture_stay() -> None:
    """A decimal point that is lost changes the number."""
    small = ink(pen_px=2, height_px=90, width_px=150, margin_px=6)
    cropped = decode_png(crop_picture(decode_image(encoded(255 - 255 * small))).png)
    rows, columns = np.nonzero(small > 0.5)
    expected = 1 - small[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    dot = np.argwhere(expected < 0.5)[-1]
    assert cropped.shape == expected.shape
    assert cropped[tuple(dot)] < 128


def test_the_usual_stroke_is_that_of_connected_ink() -> None:
    """It decides how large a formula is drawn, as for ink."""
    cropped = crop_picture(decode_image(encoded(255 - 255 * ink(pen_px=4))))
    dots = np.zeros((60, 60))
    dots[20:24, 20:24] = dots[40:44, 40:44] = 1
    width = decode_png(cropped.png).shape[1]
    assert cropped.usual_stroke_px == pytest.approx(32 / 150 * width, rel=0.1)  # the ring and the equals sign
    assert crop_picture(decode_image(encoded(255 - 255 * dots))).usual_stroke_px is None


def test_a_blank_picture_is_refused() -> None:
    """It would become a sample without ink."""
    with pytest.raises(LatexifyError, match="blank"):
        crop_picture(np.full((100, 100), 230, np.uint8))


def test_a_sheet_on_a_desk_is_cropped_as_it_is_seen_from_above() -> None:
    """Its edges became part of the formula, and made it small."""
    random = np.random.default_rng(1)
    sheet = 235 - 200 * ink() + random.normal(0, 3, ink().shape)
    turned = Image.fromarray(sheet.clip(0, 255).astype(np.uint8)).rotate(
        12, expand=True, resample=Image.Resampling.BICUBIC
    )
    desk = Image.new("L", (turned.width + 200, turned.height + 200), 60)
    on_it = Image.new("L", (ink().shape[1], ink().shape[0]), 255).rotate(12, expand=True)
    desk.paste(turned, (100, 100), on_it)
    cropped = [
        decode_png(crop_picture(np.asarray(each)).png) for each in (desk, Image.fromarray(sheet.astype(np.uint8)))
    ]
    assert cropped[0].shape == pytest.approx(cropped[1].shape, rel=0.05)
    assert (cropped[0] < 128).mean() == pytest.approx((cropped[1] < 128).mean(), rel=0.15)
