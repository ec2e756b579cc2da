"""Whatever a browser sends gets an answer or is left out; the answers are those of the service."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from latexify.serve.demo.answers import MAX_REQUESTS, answer_requests
from latexify.serve.demo.examples import DemoExample
from latexify.serve.demo.inference import SharedRecognizer
from latexify.shards.format.png import decode_png
from tests.support.handwriting import encoded, ink, strokes

WRITTEN = {"strokes": [stroke.tolist() for stroke in strokes()]}
EXAMPLES = [DemoExample(key="a", label="x", strokes=[np.array([[5, 5], [7, 9]], np.float32)])]


def answered(shared: SharedRecognizer, kind: Any, body: Any) -> dict[str, Any]:
    """The answer to one request."""
    request = {"id": "1", "kind": kind, "body": body}
    return answer_requests([request], {}, recognizer=shared, examples=EXAMPLES)["1"]


def test_an_ink_gets_the_answer_of_the_service_and_the_picture(shared: SharedRecognizer) -> None:
    """The parts read both alike."""
    content = answered(shared, "recognize", {"ink": json.dumps(WRITTEN), "quality": "fast"})["content"]
    assert {"latex", "confidence", "calibrated", "alternatives"} <= content.keys()
    picture = decode_png(base64.b64decode(content["picture"].removeprefix("data:image/png;base64,")))
    assert picture.shape[1] <= shared.canvas_px[0]
    best = answered(shared, "recognize", {"ink": json.dumps(WRITTEN), "quality": "best"})["content"]
    assert len(best["alternatives"]) >= len(content["alternatives"])


def test_several_inks_get_an_answer_each(shared: SharedRecognizer) -> None:
    """As the lines of a sheet are sent; an empty one does not affect the others."""
    content = answered(shared, "recognize", {"ink": json.dumps([WRITTEN, {"strokes": [[]]}])})["content"]
    good, bad = content["results"]
    assert "latex" in good
    assert bad["status"] == 422


def test_a_file_is_read_by_its_content(shared: SharedRecognizer) -> None:
    """A damaged one has a reason in one line."""
    png = encoded(255 - 255 * ink())
    good = answered(shared, "recognize", {"file": base64.b64encode(png).decode()})
    assert good["content"]["latex"] == shared.read_file(png, num_beams=3).recognition.latex  # type: ignore[union-attr]
    bad = answered(shared, "recognize", {"file": base64.b64encode(png[:500]).decode()})
    assert bad["status"] == 422
    assert "damaged" in bad["error"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("recognize", None, 422),
        ("recognize", {"file": "§"}, 400),
        ("recognize", {"ink": "{"}, 422),
        ("typeset", {"latex": [1]}, 400),
        ("typeset", {}, 400),
        ("format the disk", {}, 400),
        (None, [], 400),
    ],
)
def test_other_messages_are_refused(shared: SharedRecognizer, kind: Any, body: Any, status: int) -> None:
    """Other programs than the page's script can send messages, too."""
    answer = answered(shared, kind, body)
    assert answer["status"] == status
    assert "\n" not in answer["error"]


def test_formulas_are_typeset_and_examples_given(shared: SharedRecognizer) -> None:
    """As by the service's routes."""
    [formula] = answered(shared, "typeset", {"latex": ["x^2"]})["content"]
    assert formula["svg"].startswith("<svg")
    [example] = answered(shared, "examples", {})["content"]
    assert example == {"name": "a", "latex": "x", "strokes": [[[0, 0], [500, 1000]]]}


@pytest.mark.parametrize("requests", [None, 3, "x", {}, [None, {}, {"id": 3}]])
def test_what_is_no_request_is_left_out(shared: SharedRecognizer, requests: Any) -> None:
    """It has no id to answer to."""
    assert answer_requests(requests, {}, recognizer=shared, examples=EXAMPLES) == {}


def test_what_was_answered_is_not_read_again(shared: SharedRecognizer) -> None:
    """Streamlit runs the script for every change; and one visitor cannot ask for a thousand inks at once."""
    requests = [{"id": str(number), "kind": "examples", "body": {}} for number in range(MAX_REQUESTS + 1)]
    before = {"1": {"content": "kept"}}
    answers = answer_requests(requests, before, recognizer=shared, examples=EXAMPLES)
    assert answers["1"] == {"content": "kept"}
    assert len(answers) == MAX_REQUESTS
