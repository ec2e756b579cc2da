"""One item of a request becomes a picture, or an error with the right status."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from latexify.pipeline.drawing.draw import draw_ink
from latexify.pipeline.image.trace import picture_of
from latexify.serve.http.api.requests import RequestItem
from latexify.serve.http.drawing import draw_item
from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.limits import Limits
from latexify.serve.recognizer import Recognizer
from tests.support.handwriting import CANVAS, encoded, ink, inkml, strokes

RECOGNIZER = cast(
    "Recognizer",
    SimpleNamespace(draw=lambda ink: draw_ink(ink, CANVAS), picture_of=lambda data: picture_of(data, CANVAS)),
)
"""Draws like a recogniser, without a model."""
LIMITS = Limits()


def draw(**content: Any) -> np.ndarray:
    """Draw an item with the default limits."""
    return draw_item(RequestItem(**content), recognizer=RECOGNIZER, limits=LIMITS).picture


def test_strokes_and_inkml_give_the_same_picture() -> None:
    """The form in which an ink arrives must not change its answer."""
    expected = draw_ink(strokes(), CANVAS)
    assert np.array_equal(draw(strokes=strokes()), expected)
    assert np.array_equal(draw(file=inkml()), expected)


def test_files_of_strokes_are_drawn_and_say_what_they_leave_out() -> None:
    """A form upload of a drawing program's file."""
    lists = [stroke.tolist() for stroke in strokes()]
    elements = [{"type": "freedraw", "x": 0, "y": 0, "points": points} for points in lists]
    file = {"type": "excalidraw", "elements": [*elements, {"type": "text"}]}
    for content, left_out in ((lists, {}), (file, {"text": 1})):
        item = RequestItem(file=json.dumps(content).encode())
        drawn = draw_item(item, recognizer=RECOGNIZER, limits=LIMITS)
        assert np.array_equal(drawn.picture, draw_ink(strokes(), CANVAS))
        assert drawn.left_out == left_out


def test_an_image_is_traced() -> None:
    """As `latexify recognize` does it."""
    photo = encoded(200 * ink() + 20, "JPEG")
    assert np.array_equal(draw(file=photo), picture_of(photo, CANVAS))


@pytest.mark.parametrize(
    ("content", "limits", "status", "message"),
    [
        ({"file": inkml()}, {"max_ink_bytes": 100}, 413, "the limit is 100"),
        ({"file": inkml()}, {"max_strokes": 6}, 422, "7 strokes, the limit is 6"),
        ({"file": inkml()}, {"max_points": 20}, 422, "cannot be read"),
        ({"file": encoded(255 * ink())}, {"max_pixels": 1000}, 413, "700 x 420 pixels, the limit is 1,000"),
        ({"file": encoded(255 * ink())}, {"max_decoding_bytes": 200_000}, 413, "takes 0 MB to decode"),
        ({"file": b"%!PS-Adobe-3.0 EPSF-3.0\n"}, {}, 415, "neither InkML nor an image"),
        ({"file": encoded(255 * ink())[:500]}, {}, 422, "damaged"),
        ({"file": encoded(np.full((80, 90), 255.0))}, {}, 422, "blank"),
        ({"strokes": []}, {}, 422, "nothing to draw"),
        ({"strokes": [np.array([[0, np.inf], [1, 1]], np.float32)]}, {}, 422, "finite"),
    ],
)
def test_an_unusable_item_is_an_error_with_its_status(
    content: dict[str, Any], limits: dict[str, int], status: int, message: str
) -> None:
    """Clients decide by the status whether to shrink, convert or drop the item."""
    with pytest.raises(HttpError) as error:
        draw_item(RequestItem(**content), recognizer=RECOGNIZER, limits=replace(LIMITS, **limits))
    assert error.value.status == status
    assert message in str(error.value)
    assert "\n" not in str(error.value)
