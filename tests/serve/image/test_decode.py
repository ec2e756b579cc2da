"""Image files of any kind become upright grey pixels of a bounded size."""

import numpy as np
import pytest
from PIL import Image

from latexify.common.errors import LatexifyError
from latexify.serve.image.decode import MAX_PIXELS, WORKING_PX, decode_image
from tests.support.handwriting import HEIGHT_PX, WIDTH_PX, encoded, ink, photographs, png_without_pixels


def test_the_exif_orientation_is_applied() -> None:
    """Phones store pictures in the orientation of the sensor."""
    upright = Image.fromarray((255 * (1 - ink())).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # must be rotated clockwise by 90 degrees
    data = encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    pixels = decode_image(data)
    assert pixels.shape == (HEIGHT_PX, WIDTH_PX)
    assert np.abs(pixels.astype(float) - np.asarray(upright)).mean() < 5


def test_large_pictures_are_reduced_and_small_ones_unchanged() -> None:
    """Processing twelve million pixels would take seconds."""
    pictures = photographs()
    assert max(decode_image(pictures["large"]).shape) <= WORKING_PX
    assert decode_image(pictures["small"]).shape == (90, 150)


@pytest.mark.parametrize("kind", ["transparent", "white on transparent", "palette", "16 bits"])
def test_ink_has_contrast_in_every_mode(kind: str) -> None:
    """Transparent paper, palettes and high bit depths must not hide the ink."""
    pixels = decode_image(photographs()[kind]).astype(float)
    pen = ink()
    assert abs(pixels[pen > 0.9].mean() - pixels[pen < 0.1].mean()) > 150


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"E = mc^2, by hand\n", "not an image"),
        (encoded(255 - 255 * ink())[:700], "damaged"),
        (png_without_pixels(60_000, 60_000), "more than 100,000,000 pixels"),
        (png_without_pixels(11_000, 11_000), f"the limit is {MAX_PIXELS:,}"),
        (encoded(np.full((5, 5000), 255.0)), "crop it to the formula"),
    ],
)
def test_unusable_files_are_refused(data: bytes, message: str) -> None:
    """A decompression bomb must not take all memory."""
    with pytest.raises(LatexifyError, match=message):
        decode_image(data)
