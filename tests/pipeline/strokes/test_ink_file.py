"""Ink files of every format give the strokes of their plain InkML twin, or a reason."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.strokes.ink_file import holds_ink, looks_like_ink, read_ink_file

# an L and a dot
LINES = [[(10, 0), (10, 40), (30, 40)], [(50, 20)]]
INKML = b'<ink xmlns="http://www.w3.org/2003/InkML"><trace>10 0, 10 40, 30 40</trace><trace>50 20</trace></ink>'
LISTS = [[[10, 0], [10, 40], [30, 40]], [[50, 20]]]
TIMED = [[[10, 0, 0], [10, 40, 5], [30, 40, None]], [[50, 20, 9, 0.5]]]
OBJECTS = [[{"x": x, "y": y, "t": 3} for x, y in line] for line in LINES]
ML_KIT = {"strokes": [{"points": [{"x": x, "y": y, "t": 0} for x, y in line]} for line in LINES]}
COLUMNS = {"x": [[10, 10, 30], [50]], "y": [[0, 40, 40], [20]]}
EXCALIDRAW = {
    "type": "excalidraw",
    "version": 2,
    "elements": [
        {"type": "freedraw", "x": 10, "y": 0, "angle": 0, "points": [[0, 0], [0, 40], [20, 40]]},
        {"type": "freedraw", "x": 0, "y": 0, "isDeleted": True, "points": [[0, 0]]},
        {"type": "freedraw", "x": 50, "y": 20, "points": [[0, 0]]},
    ],
}
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 60">
<path fill="none" stroke="black" d="M10 0v40h20"/><path fill="none" stroke="black" d="M50,20"/></svg>"""

TWINS: dict[str, Any] = {
    "lists of points": LISTS,
    "with time": TIMED,
    "points as objects": OBJECTS,
    "lists under `strokes`": {"strokes": LISTS, "width": 300},
    "ML Kit": ML_KIT,
    "ML Kit without the object around": ML_KIT["strokes"],
    "Mathpix": {"strokes": {"strokes": COLUMNS}},
    "Mathpix, inner": {"strokes": COLUMNS},
    "Mathpix, innermost": COLUMNS,
    "Excalidraw": EXCALIDRAW,
    "SVG": SVG,
}


def content(value: Any) -> bytes:
    """A file."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@pytest.mark.parametrize("name", TWINS)
def test_every_format_gives_the_strokes_of_its_inkml_twin(name: str) -> None:
    """Another stroke would be another formula, without a word."""
    data = content(TWINS[name])
    ink, twin = read_ink_file(data), read_ink_file(INKML)
    assert looks_like_ink(data)
    assert holds_ink(data)
    assert len(ink.strokes) == len(twin.strokes) == 2
    for stroke, expected in zip(ink.strokes, twin.strokes, strict=True):
        assert stroke.dtype == np.float32
        assert np.array_equal(stroke, expected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encoding_does_not_matter(encoding: str) -> None:
    """Windows programs write byte order marks, and UTF-16."""
    for text in (json.dumps(LISTS), SVG, INKML.decode()):
        assert len(read_ink_file(text.encode(encoding)).strokes) == 2


def test_labels_beside_the_strokes_are_read() -> None:
    """Without them, `evaluate` could not take JSON."""
    ink = read_ink_file(content({"strokes": LISTS, "label": " x^2 ", "truth": "y", "other": "z"}))
    assert ink.annotations == {"label": "x^2", "truth": "y"}


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        ("{", Reason.MALFORMED_JSON, "line 1"),
        ("[" * 100_000, Reason.MALFORMED_JSON, "nested too deeply"),
        ({}, Reason.UNKNOWN_FORMAT, "Excalidraw"),
        ([1, 2], Reason.UNKNOWN_FORMAT, "Excalidraw"),
        ({"strokes": 3}, Reason.UNKNOWN_FORMAT, "Excalidraw"),
        ([], Reason.NO_STROKES, "no stroke"),
        ([[], []], Reason.NO_STROKES, "no stroke"),
        ([[[1, 2]], [[1]]], Reason.BAD_POINTS, "stroke 1"),
        ([[[1, "2"]]], Reason.BAD_POINTS, "two numbers"),
        ([[[1, True]]], Reason.BAD_POINTS, "two numbers"),
        ([[[1, 2, "3"]]], Reason.BAD_POINTS, "two numbers"),
        ([[{"x": 1}]], Reason.BAD_POINTS, "two numbers"),
        ("[[[NaN, 1]]]", Reason.BAD_POINTS, "NaN"),
        ("[[[1e999, 1]]]", Reason.BAD_POINTS, "finite"),
        (f"[[[{'9' * 400}, 1]]]", Reason.BAD_POINTS, "finite"),
        ("[[[1e39, 1]]]", Reason.BAD_POINTS, "finite"),
        ({"strokes": [{"points": 3}]}, Reason.BAD_POINTS, "`points`"),
        ({"x": [[1, 2]], "y": [[1]]}, Reason.BAD_POINTS, "2 values of x and 1 of y"),
        ({"x": [[1]], "y": []}, Reason.BAD_POINTS, "1 strokes and y has 0"),
        ({"x": 1, "y": 2}, Reason.BAD_POINTS, "lists"),
        ({"x": [1], "y": [2]}, Reason.BAD_POINTS, "lists of numbers"),
        ("<svg/>", Reason.NO_STROKES, "no stroked path"),
        ("<html/>", Reason.NOT_INKML, "html"),
    ],
)
def test_what_cannot_be_read_has_a_reason(value: Any, reason: Reason, words: str) -> None:
    """The user reads one line, and can mend the file."""
    with pytest.raises(UnusableInkError) as refused:
        read_ink_file(content(value))
    assert refused.value.reason == reason
    assert words in refused.value.detail


def test_limits_hold_for_every_format() -> None:
    """A service must not be stopped by one file."""
    for value in (LISTS, ML_KIT, COLUMNS, EXCALIDRAW, SVG):
        with pytest.raises(UnusableInkError) as refused:
            read_ink_file(content(value), max_points=3)
        assert refused.value.reason == Reason.TOO_LARGE
        with pytest.raises(UnusableInkError) as refused:
            read_ink_file(content(value), max_file_bytes=10)
        assert refused.value.reason == Reason.TOO_LARGE


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.sampled_from(["freedraw", "x"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["strokes", "points", "x", "y", "type", "elements", "angle"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_any_json_gives_finite_strokes_or_a_reason(value: Any) -> None:
    """Anything else would be a traceback for the user."""
    for wrapped in (value, {"type": "excalidraw", "elements": value}, {"strokes": value}):
        data = content(wrapped)
        try:
            ink = read_ink_file(data)
        except UnusableInkError:
            continue
        assert ink.strokes
        assert all(len(stroke) and np.isfinite(stroke).all() for stroke in ink.strokes)


@given(st.binary(max_size=60), st.sampled_from([b"", b"<svg ", b"{", b"[[", b"<svg><path stroke='red' d='M0 0"]))
def test_any_bytes_give_strokes_or_a_reason(data: bytes, beginning: bytes) -> None:
    """The same for damaged files."""
    holds_ink(beginning + data)
    try:
        strokes = read_ink_file(beginning + data).strokes
    except UnusableInkError:
        return
    assert all(len(stroke) for stroke in strokes)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"name": "package", "version": "1"}', False),
        (b"[1, 2, 3]", False),
        (b"{", False),
        (b"<html/>", False),
        (b"<?xml version='1.0'?><!-- a <b> --><inkml:ink/>", True),
        (b"<svg><path/></svg>", True),
    ],
)
def test_files_of_a_folder_are_told_by_content(data: bytes, expected: bool) -> None:  # noqa: FBT001  # a table
    """A folder of photos may hold a package.json, which must not be an error."""
    assert holds_ink(data) is expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", True),
        (b"\xef\xbb\xbf <?xml", True),
        ("<ink/>".encode("utf-16"), True),
        (b"\x89PNG", False),
        (b"GIF8", False),
    ],
)
def test_inks_are_distinguished_from_images_by_content(data: bytes, expected: bool) -> None:  # noqa: FBT001  # a table
    """Names may be wrong, and standard input has none."""
    assert looks_like_ink(data) is expected
