"""Recognition for several visitors: the same answers as without the demo, within limits."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from latexify.serve.demo.inference import DemoFailure, DemoResult, SharedRecognizer
from latexify.serve.demo.state import DemoSettings, shared_recognizer
from latexify.serve.http.api.requests import RequestItem
from latexify.serve.recognizer import Recognizer
from tests.support.handwriting import strokes

WRITTEN = json.dumps({"strokes": [stroke.tolist() for stroke in strokes()]})


def test_the_sheet_is_recognised_like_its_strokes(shared: SharedRecognizer, model: Path) -> None:
    """The same ink must give the same formula from the browser and from Python."""
    result = shared.read_ink(WRITTEN, num_beams=3)
    assert isinstance(result, DemoResult)
    recognizer = Recognizer(model, device="cpu")
    assert np.array_equal(result.picture, recognizer.draw(strokes()))
    expected = recognizer.read([result.picture], num_beams=3)[0]
    assert (result.recognition.latex, result.recognition.alternatives) == (expected.latex, expected.alternatives)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("", "not JSON"),
        ("[]", "neither an object"),
        ('{"strokes": [[[1, NaN]]]}', "NaN"),
        ('{"strokes": [[["a", 1]]]}', "stroke 0"),
        ('{"strokes": "x"}', "strokes"),
        ('{"strokes": [[]]}', "nothing to draw"),
        (json.dumps({"strokes": [[[0, 0]]] * 3000}), "3000 strokes"),
        ("\udc80", "JSON"),
        (" " * 3_000_000, "too much ink"),
    ],
)
def test_any_message_of_a_browser_gets_an_answer(shared: SharedRecognizer, sent: str, reason: str) -> None:
    """Other programs than the page's script can send messages too."""
    failure = shared.read_ink(sent, num_beams=1)
    assert isinstance(failure, DemoFailure)
    assert re.search(reason, failure.reason)
    assert "\n" not in failure.reason


def test_a_file_that_is_too_large_is_refused(shared: SharedRecognizer) -> None:
    """Streamlit's limit is in mebibytes; the service's limit still applies."""
    failure = shared.read_file(b"\x89PNG" + bytes(shared.limits.max_body_bytes), num_beams=1)
    assert isinstance(failure, DemoFailure)
    assert "8 MB" in failure.reason


def test_simultaneous_visitors_get_their_own_answers(shared: SharedRecognizer) -> None:
    """Answers must not get mixed up."""
    generator = np.random.default_rng(4)
    inks = [
        [generator.random((6, 2)).astype(np.float32), generator.random((4, 2)).astype(np.float32) + 1]
        for _ in range(12)
    ]
    alone = [shared.read(RequestItem(strokes=ink), num_beams=2) for ink in inks]
    with ThreadPoolExecutor(6) as visitors:
        together = list(visitors.map(lambda ink: shared.read(RequestItem(strokes=ink), num_beams=2), inks))
    for one, other in zip(alone, together, strict=True):
        assert isinstance(one, DemoResult)
        assert isinstance(other, DemoResult)
        assert np.array_equal(one.picture, other.picture)
        assert one.recognition.latex == other.recognition.latex


def test_the_model_is_loaded_once(settings: DemoSettings, shared: SharedRecognizer) -> None:
    """Half a gigabyte for each visitor would soon fill the memory."""
    assert shared_recognizer(DemoSettings.from_mapping(settings.to_mapping())) is shared
