"""Photographs become pictures like those that the model was trained on, or an error of one line."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageFilter

from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import draw_ink
from latexify.pipeline.image.decode import MAX_PIXELS
from latexify.pipeline.image.trace import picture_of
from tests.support.handwriting import CANVAS, encoded, ink, inkml, photographs, png_without_pixels, strokes

PHOTOGRAPHS = photographs()


def likeness(picture: np.ndarray, *, reference: np.ndarray | None = None) -> float:
    """Fraction of both pictures' ink that has ink within two pixels in the other."""
    reference = draw_ink(strokes(), CANVAS) if reference is None else reference
    thick = [np.asarray(Image.fromarray(each).filter(ImageFilter.MinFilter(5))) < 128 for each in (picture, reference)]
    inked = [each < 128 for each in (picture, reference)]
    covered = (inked[0] & thick[1]).sum() + (inked[1] & thick[0]).sum()
    return float(covered / max(inked[0].sum() + inked[1].sum(), 1))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_becomes_the_picture_of_its_ink(name: str) -> None:
    """The model was trained on thin black strokes on white, and misreads anything else."""
    picture = picture_of(PHOTOGRAPHS[name], CANVAS)
    assert picture.shape == (CANVAS.height_px, CANVAS.width_px)
    assert picture.dtype == np.uint8
    assert likeness(picture) > 0.97
    darkness = (255 - picture.astype(float)).sum() / (255 - draw_ink(strokes(), CANVAS).astype(float)).sum()
    assert 0.85 < darkness < 1.15  # the pen has the same width


def test_strokes_of_a_limited_size_are_drawn_as_large_as_those_of_an_ink() -> None:
    """Tracing cuts strokes where they cross; their parts must not be mistaken for small handwriting."""
    canvas = replace(CANVAS, max_stroke_px=12.0)
    drawn = draw_ink(strokes(), canvas)
    picture = picture_of(PHOTOGRAPHS["uneven light"], canvas)
    heights = [np.ptp(np.flatnonzero((each < 128).any(axis=1))) for each in (picture, drawn)]
    assert heights[0] == pytest.approx(heights[1], rel=0.25)
    assert heights[1] < 0.8 * np.ptp(np.flatnonzero((draw_ink(strokes(), CANVAS) < 128).any(axis=1)))


def test_a_picture_from_a_shard_is_unchanged() -> None:
    """The model was trained on such pictures; tracing would only make them worse."""
    drawn = draw_ink(strokes(), CANVAS)
    assert np.array_equal(picture_of(encoded(drawn.astype(np.float64)), CANVAS), drawn)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"E = mc^2, by hand\n", "not an image"),
        (inkml(), "not an image"),
        (encoded(255 - 255 * ink())[:700], "damaged"),
        (encoded(255 - 255 * ink(), "JPEG")[:300], "damaged|not an image"),
        (png_without_pixels(60_000, 60_000), f"more than {MAX_PIXELS:,} pixels|the limit is {MAX_PIXELS:,}"),
        (png_without_pixels(11_000, 11_000), f"the limit is {MAX_PIXELS:,}"),
        (encoded(np.full((5, 5000), 255.0)), "crop it to the formula"),
        (encoded(np.full((200, 300), 255.0)), "blank"),
        (encoded(np.full((200, 300), 0.0)), "blank"),
        (encoded(np.full((200, 300), 128.0)), "blank"),
        (encoded(np.random.default_rng(1).normal(200, 6, (300, 400))), "blank"),
        (encoded(100 + np.mgrid[0:300, 0:400][1] / 4), "blank"),
        (encoded(np.zeros((50, 50, 4))), "blank"),
        (encoded(np.full((1, 1), 255.0)), "blank"),
    ],
)
def test_an_unusable_file_is_an_error_of_one_line(data: bytes, message: str) -> None:
    """A traceback does not help the user, and a formula made of noise would be worse."""
    with pytest.raises(LatexifyError, match=message) as error:
        picture_of(data, CANVAS)
    assert "\n" not in str(error.value)


@settings(max_examples=30, deadline=None)
@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.sampled_from([0, 90, 255]))
)
def test_any_image_gives_a_picture_or_an_error(grey: np.ndarray) -> None:
    """No upload may end in a traceback."""
    try:
        picture = picture_of(encoded(grey.astype(float)), CANVAS)
    except LatexifyError:
        return
    assert picture.shape == (CANVAS.height_px, CANVAS.width_px)


def test_no_file_stays_open(recwarn: pytest.WarningsRecorder) -> None:
    """A service that leaks a file handle per request fails after a thousand."""
    picture_of(PHOTOGRAPHS["red"], CANVAS)
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]
    assert io.BytesIO(PHOTOGRAPHS["red"]).read(4) == b"\x89PNG"
