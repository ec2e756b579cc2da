"""Photographs become the pictures that the model knows, or one line says why not."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageFilter

from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import draw_ink
from latexify.serve.image.components import label_components
from latexify.serve.image.decode import MAX_PIXELS, WORKING_PX, decode_image
from latexify.serve.image.trace import picture_of
from tests.support.handwriting import CANVAS, HEIGHT_PX, WIDTH_PX, encoded, ink, inkml, photographs, strokes

PHOTOGRAPHS = photographs()


def likeness(picture: np.ndarray, *, reference: np.ndarray | None = None) -> float:
    """Share of both pictures' ink that has ink within two pixels in the other: 0 to 1."""
    reference = draw_ink(strokes(), CANVAS) if reference is None else reference
    thick = [np.asarray(Image.fromarray(each).filter(ImageFilter.MinFilter(5))) < 128 for each in (picture, reference)]
    inked = [each < 128 for each in (picture, reference)]
    covered = (inked[0] & thick[1]).sum() + (inked[1] & thick[0]).sum()
    return float(covered / max(inked[0].sum() + inked[1].sum(), 1))


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_becomes_the_picture_of_its_ink(name: str) -> None:
    """The model has seen nothing but thin black strokes on white: anything else it misreads."""
    picture = picture_of(PHOTOGRAPHS[name], CANVAS)
    assert picture.shape == (CANVAS.height_px, CANVAS.width_px)
    assert picture.dtype == np.uint8
    assert likeness(picture) > 0.97
    darkness = (255 - picture.astype(float)).sum() / (255 - draw_ink(strokes(), CANVAS).astype(float)).sum()
    assert 0.85 < darkness < 1.15  # the pen is as wide


def test_strokes_of_a_limited_size_are_drawn_as_large_as_those_of_an_ink() -> None:
    """Tracing cuts strokes where they cross: their pieces must not be taken for the strokes of a smaller hand."""
    canvas = replace(CANVAS, max_stroke_px=12.0)
    drawn = draw_ink(strokes(), canvas)
    picture = picture_of(PHOTOGRAPHS["uneven light"], canvas)
    heights = [np.ptp(np.flatnonzero((each < 128).any(axis=1))) for each in (picture, drawn)]
    assert heights[0] == pytest.approx(heights[1], rel=0.25)
    assert heights[1] < 0.8 * np.ptp(np.flatnonzero((draw_ink(strokes(), CANVAS) < 128).any(axis=1)))


def test_exif_turns_the_picture() -> None:
    """Telephones store pictures as the sensor lies."""
    upright = Image.fromarray((255 * (1 - ink())).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to the right to see it upright
    data = encoded(upright.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    assert decode_image(data).shape == (HEIGHT_PX, WIDTH_PX)
    assert likeness(picture_of(data, CANVAS)) > 0.97


def test_a_picture_from_a_shard_stays_as_it_is() -> None:
    """It is what the model was trained on; tracing could only lose."""
    drawn = draw_ink(strokes(), CANVAS)
    assert np.array_equal(picture_of(encoded(drawn), CANVAS), drawn)


def test_large_pictures_are_made_small_and_small_ones_left() -> None:
    """Twelve million pixels would take seconds."""
    assert max(decode_image(PHOTOGRAPHS["large"]).shape) <= WORKING_PX
    assert decode_image(PHOTOGRAPHS["small"]).shape == (90, 150)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims `side` x `side` pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"E = mc^2, by hand\n", "no image"),
        (inkml(), "no image"),
        (encoded(255 - 255 * ink())[:700], "damaged"),
        (encoded(255 - 255 * ink(), "JPEG")[:300], "damaged|no image"),
        (bomb(60_000), f"more than {MAX_PIXELS:,} pixels|at most {MAX_PIXELS:,}"),
        (bomb(11_000), f"at most {MAX_PIXELS:,}"),
        (encoded(np.full((5, 5000), 255.0)), "cut out the formula"),
        (encoded(np.full((200, 300), 255.0)), "blank"),
        (encoded(np.full((200, 300), 0.0)), "blank"),
        (encoded(np.full((200, 300), 128.0)), "blank"),
        (encoded(np.random.default_rng(1).normal(200, 6, (300, 400))), "blank"),
        (encoded(100 + np.mgrid[0:300, 0:400][1] / 4), "blank"),
        (encoded(np.zeros((50, 50, 4))), "blank"),
        (encoded(np.full((1, 1), 255.0)), "blank"),
    ],
)
def test_what_cannot_be_read_is_one_line(data: bytes, message: str) -> None:
    """A traceback tells nobody what to do, and a formula made of noise is worse."""
    with pytest.raises(LatexifyError, match=message) as error:
        picture_of(data, CANVAS)
    assert "\n" not in str(error.value)


@settings(max_examples=30, deadline=None)
@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.sampled_from([0, 90, 255]))
)
def test_no_picture_is_too_odd(grey: np.ndarray) -> None:
    """Whatever people upload: a picture or a line, never a traceback."""
    try:
        picture = picture_of(encoded(grey.astype(float)), CANVAS)
    except LatexifyError:
        return
    assert picture.shape == (CANVAS.height_px, CANVAS.width_px)


@settings(max_examples=30, deadline=None)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_pieces_are_those_that_a_flood_fills(mask: np.ndarray) -> None:
    """Pieces that are joined or torn wrongly make dust of strokes, or strokes of dust."""
    components = label_components(mask)
    labels = np.full(mask.shape, -1)
    for row, start, end, label in zip(
        components.rows, components.starts, components.ends, components.labels, strict=True
    ):
        labels[row, start:end] = label
    assert np.array_equal(labels >= 0, mask)
    unseen, pieces = {tuple(place) for place in np.argwhere(mask).tolist()}, 0
    while unseen:
        pieces, queue = pieces + 1, [unseen.pop()]
        label = labels[queue[0]]
        while queue:
            row, column = queue.pop()
            assert labels[row, column] == label
            near = {(row + r, column + c) for r in (-1, 0, 1) for c in (-1, 0, 1)} & unseen
            unseen -= near
            queue += near
    assert components.count == pieces
    assert components.areas.sum() == mask.sum()


def test_reading_a_picture_leaves_no_file_open(recwarn: pytest.WarningsRecorder) -> None:
    """A service that leaks a handle for each request stops after a thousand."""
    picture_of(PHOTOGRAPHS["red"], CANVAS)
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]
    assert io.BytesIO(PHOTOGRAPHS["red"]).read(4) == b"\x89PNG"
