"""Image files of any kind become upright grey pixels of a bounded size."""

import io

import numpy as np
import pytest
from PIL import Image

from latexify.common.errors import LatexifyError
from latexify.pipeline.image.decode import MAX_PIXELS, WORKING_PX, decode_image, decoding_bytes, is_heif
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
        (png_without_pixels(60_000, 60_000), "more than 80,000,000 pixels"),
        (png_without_pixels(11_000, 11_000), f"the limit is {MAX_PIXELS:,}"),
        (encoded(np.full((5, 5000), 255.0)), "crop it to the formula"),
    ],
)
def test_unusable_files_are_refused(data: bytes, message: str) -> None:
    """A decompression bomb must not take all memory."""
    with pytest.raises(LatexifyError, match=message):
        decode_image(data)


def test_formats_that_are_programs_are_refused() -> None:
    """Pillow decodes EPS by running Ghostscript on it, which a stranger's file must not make it do."""
    with pytest.raises(LatexifyError, match="EPS is not a format that can be read"):
        decode_image(encoded(Image.new("L", (50, 50), 255), "EPS"))


def test_exif_that_cannot_be_read_does_not_cost_the_picture() -> None:
    """Programs write such EXIF, and other viewers show the picture."""
    picture = Image.fromarray((255 * (1 - ink())).astype(np.uint8))
    data = encoded(picture, "JPEG", exif=b"Exif\0\0 no TIFF at all")
    assert decode_image(data).shape == (HEIGHT_PX, WIDTH_PX)


def test_a_progressive_jpeg_of_many_scans_is_refused() -> None:
    """A file of 30 KB took 20 s to decode."""
    data = encoded(Image.new("L", (2000, 2000), 128), "JPEG", progressive=True, quality=5)
    start = data.rindex(b"\xff\xda")
    assert decode_image(data).shape == (1600, 1600)
    with pytest.raises(LatexifyError, match=r"has \d+ scans, too many"):
        decode_image(data[:start] + data[start:-2] * 1000 + data[-2:])


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "LA", "CMYK", "I", "F"])
def test_large_pictures_of_every_mode_are_reduced_like_small_ones(mode: str) -> None:
    """They are reduced in strips, so that a conversion does not need as much memory as the picture again."""
    picture = Image.fromarray((255 * (1 - ink())).astype(np.uint8)).convert("L")
    large = picture.resize((WIDTH_PX * 7, HEIGHT_PX * 7)).convert("RGB" if mode in {"CMYK", "P"} else "L").convert(mode)
    expected = np.asarray(picture.resize((1600, 960)), dtype=np.float64)
    pixels = decode_image(encoded(large, "TIFF"))
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).mean() < 5


HEIC_HEAD = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(50)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HEIC_HEAD, True),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", True),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1avif", False),
        (b"\0\0\0\x18ftypheic"[:7], False),
        (encoded(255 - 255 * ink()), False),
    ],
)
def test_heic_is_known_by_its_brand(data: bytes, expected: bool) -> None:  # noqa: FBT001  # a table
    """Phones and mail programs change suffixes."""
    assert is_heif(data) == expected


def test_heic_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the photos people bring are HEIC."""
    monkeypatch.setattr("latexify.pipeline.image.decode.find_spec", lambda _: None)
    with pytest.raises(LatexifyError, match=r"pillow-heif: run pip install -e '\.\[heic\]'"):
        decode_image(HEIC_HEAD)


def test_heic_is_read_where_its_package_is_installed() -> None:
    """The extra `heic` is all that is needed."""
    pillow_heif = pytest.importorskip("pillow_heif")
    picture = Image.fromarray((255 * (1 - ink())).astype(np.uint8)).convert("RGB")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(picture).save(buffer, quality=90)
    pixels = decode_image(buffer.getvalue())
    assert pixels.shape == (HEIGHT_PX, WIDTH_PX)
    assert np.abs(pixels.astype(float) - np.asarray(picture.convert("L"))).mean() < 5
    with pytest.raises(LatexifyError, match=r"damaged|not an image"):
        decode_image(buffer.getvalue()[:300])


@pytest.mark.parametrize(
    ("mode", "kind", "options", "expected"),
    [
        ("L", "PNG", {}, 8_000_000),
        ("RGBA", "PNG", {}, 32_000_000),
        ("RGB", "WEBP", {}, 64_000_000),
        ("RGB", "JPEG", {}, 8_000_000),
        ("RGB", "JPEG", {"progressive": True}, 8_000_000 + 48_000_000),
    ],
)
def test_the_memory_of_decoding_is_known_from_the_header(
    mode: str, kind: str, options: dict[str, bool], expected: int
) -> None:
    """The service decodes only as much at a time as fits; a JPEG is decoded at a fraction of its size."""
    file = io.BytesIO()
    Image.new(mode, (4000, 2000)).save(file, kind, **options)
    with Image.open(file) as image:
        assert decoding_bytes(image) == expected
