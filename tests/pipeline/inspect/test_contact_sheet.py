"""The sheet of pictures and their captions."""

import io

import numpy as np
import pytest
from PIL import Image, ImageFont

from latexify.pipeline.inspect.contact_sheet import PICTURE_WIDTH_PX, _font, _shortened, _wrapped, draw_sheet
from latexify.pipeline.latex import tokenize
from tests.support.inspect_entries import ENTRIES, entry


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_sheet_has_room_for_everything(count: int) -> None:
    """Any number of pictures of any shape, with labels of any length, without a viewer that refuses the file."""
    entries = [
        entry(f"key/{'long' * 40}/{number}", r"\alpha" * (number * 3), reason="bad-label", fault="so " * 80)
        for number in range(count)
    ]
    shapes = [(32, 128), (384, 384), (9, 2000), (1000, 8)]
    pictures = [np.full(shapes[number % 4], 128, np.uint8) if number % 5 else None for number in range(count)]
    sheet = Image.open(io.BytesIO(draw_sheet(entries, pictures, title="title " * 200)))
    assert max(sheet.size) < 2**15
    assert sheet.size[0] >= PICTURE_WIDTH_PX


def test_sheet_is_the_same_each_time_and_shows_pixels_as_they_are() -> None:
    """An enlarged sample that is smoothed hides what the model gets to see."""
    picture = np.random.default_rng(1).choice(np.array([0, 255], np.uint8), (32, 128))
    sheets = [draw_sheet([ENTRIES[0]], [picture], title="t") for _ in range(2)]
    assert sheets[0] == sheets[1]
    pixels = np.asarray(Image.open(io.BytesIO(sheets[0])).convert("L"))
    enlarged = np.kron(picture, np.ones((2, 2), np.uint8))
    rows, columns = np.nonzero(pixels == 0)
    height, width = enlarged.shape
    dark = np.argwhere(enlarged == 0)[0]
    corners = zip(rows - dark[0], columns - dark[1], strict=True)
    assert any(np.array_equal(pixels[y : y + height, x : x + width], enlarged) for y, x in corners)


@pytest.mark.parametrize(
    "label", ["", "x", r"\frac{1}{2}" * 9, "x" * 500, r"\operatorname" * 40, "\N{HANGUL SYLLABLE HAN}" * 90]
)
def test_labels_are_wrapped_within_their_picture(label: str) -> None:
    """Captions that run into each other cannot be read; a command torn apart reads as another."""
    font: ImageFont.FreeTypeFont = _font(13)
    lines = _wrapped(tokenize(label), font)
    assert len(lines) <= 3
    assert all(font.getlength(line) <= PICTURE_WIDTH_PX for line in lines)
    joined = "".join(lines)
    assert joined == label or (joined.endswith("…") and label.startswith(joined[:-1]))
    if "x" not in label:
        assert not any(line.endswith("\\") for line in lines)


def test_long_keys_lose_their_middle() -> None:
    """Keys differ at their ends."""
    font = _font(12)
    short = _shortened(f"train/{'folder/' * 30}ink0123", font, PICTURE_WIDTH_PX)
    assert short.startswith("train/")
    assert short.endswith("ink0123")
    assert font.getlength(short) <= PICTURE_WIDTH_PX
