"""Excalidraw files: freehand lines as they are seen, and the other elements by name."""

import json
import math
from typing import Any

import numpy as np
import pytest

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.strokes.ink_file import read_ink_file


def file(*elements: dict[str, Any]) -> bytes:
    """A file with these elements."""
    return json.dumps({"type": "excalidraw", "elements": elements}).encode()


LINE = {"type": "freedraw", "x": 100, "y": 50, "points": [[0, 0], [20, 0]]}


def test_a_turned_element_is_turned_around_its_middle() -> None:
    """Otherwise a minus that was turned into a stroke of a cross would stay a minus."""
    (stroke,) = read_ink_file(file({**LINE, "angle": math.pi / 2})).strokes
    assert np.allclose(stroke, [[110, 40], [110, 60]], atol=1e-5)


def test_other_elements_are_counted() -> None:
    """A text beside the ink is part of the picture that the user sees, but not of what is read."""
    text, deleted = {"type": "text", "text": "x"}, {"type": "text", "isDeleted": True}
    ink = read_ink_file(file(LINE, text, deleted, {"type": "rectangle"}, text))
    assert ink.left_out == {"text": 2, "rectangle": 1}
    with pytest.raises(UnusableInkError) as refused:
        read_ink_file(file(text, text))
    assert refused.value.reason == Reason.NO_STROKES
    assert "2 text" in refused.value.detail


@pytest.mark.parametrize("wrong", [{"points": None}, {"x": "1"}, {"points": [[1]]}, {"angle": "a"}])
def test_a_damaged_element_is_refused(wrong: dict[str, Any]) -> None:
    """Leaving it out would be another formula."""
    with pytest.raises(UnusableInkError) as refused:
        read_ink_file(file(LINE, {**LINE, **wrong}))
    assert refused.value.reason == Reason.BAD_POINTS
