"""Request bodies: which are accepted, and which are refused with what status and message."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.serve.http.api.requests import parse_request
from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.limits import Limits

LIMITS = Limits(max_items=3, max_points=10, max_strokes=4)
FORM = "multipart/form-data; boundary=b"


def part(content: bytes) -> bytes:
    """One file of a form."""
    return b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + content + b"\r\n"


def strokes(*value: object) -> bytes:
    """One ink in JSON."""
    return json.dumps({"strokes": value}).encode()


def test_strokes_arrive_as_they_were_sent() -> None:
    """Integers and fractions; strokes without points leave no ink."""
    request = parse_request(strokes([[1, 2.5], [-3, 4e3]], []), content_type="application/json", limits=LIMITS)
    assert request.form == "one"
    (item,) = request.items
    assert item.strokes is not None
    assert [stroke.tolist() for stroke in item.strokes] == [[[1, 2.5], [-3, 4000]]]
    assert all(stroke.dtype == np.float32 for stroke in item.strokes)


@pytest.mark.parametrize(
    "value",
    [
        [[[0, 0, 5], [10, 12, 6]]],
        [[{"x": 0, "y": 0}, {"x": 10, "y": 12, "t": 1}]],
        [{"points": [{"x": 0, "y": 0, "t": 1}, {"x": 10, "y": 12, "t": 2}]}],
        {"strokes": {"x": [[0, 10]], "y": [[0, 12]]}},
        {"x": [[0, 10]], "y": [[0, 12]]},
    ],
)
def test_strokes_arrive_in_every_form(value: object) -> None:
    """Clients send what their platform gives them: ML Kit's points, Mathpix's columns."""
    body = json.dumps({"strokes": value}).encode()
    (item,) = parse_request(body, content_type="application/json", limits=LIMITS).items
    assert item.strokes is not None
    assert [stroke.tolist() for stroke in item.strokes] == [[[0, 0], [10, 12]]]


def test_an_excalidraw_file_may_be_the_body() -> None:
    """`curl --json @drawing.excalidraw`; what is beside the strokes is counted."""
    elements = [{"type": "freedraw", "x": 1, "y": 2, "points": [[0, 0], [3, 4]]}, {"type": "text"}]
    body = json.dumps({"type": "excalidraw", "version": 2, "elements": elements}).encode()
    (item,) = parse_request(body, content_type="application/json", limits=LIMITS).items
    assert item.strokes is not None
    assert [stroke.tolist() for stroke in item.strokes] == [[[1, 2], [4, 6]]]
    assert item.left_out == {"text": 1}
    with pytest.raises(HttpError, match="no freedraw element"):
        parse_request(b'{"type": "excalidraw", "elements": []}', content_type="application/json", limits=LIMITS)


def test_every_way_to_send_a_file_gives_its_bytes() -> None:
    """An image must not change in transit, even line ends and zeros."""
    data = bytes(range(256)) + b"\r\n--a\r\n-"
    encoded = json.dumps([{"image": base64.b64encode(data).decode()}]).encode()
    sent = [
        ("image/png", data, "one"),
        ("application/octet-stream", data, "one"),
        ("", data, "one"),
        ("application/json; charset=utf-8", encoded, "list"),
        (FORM, part(data) + b"--b--\r\n", "list"),
    ]
    for content_type, body, form in sent:
        request = parse_request(body, content_type=content_type, limits=LIMITS)
        assert (request.items[0].file, request.form) == (data, form)
    several = parse_request(part(b"1") + part(b"") + part(b"3") + b"--b--", content_type=FORM, limits=LIMITS)
    assert [item.file for item in several.items] == [b"1", b"", b"3"]


PIXELS = bytes(range(256))
TEXT = base64.b64encode(PIXELS).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"data:image/png;base64,{TEXT}",
        f"data:image/svg+xml;charset=utf-8;base64,{TEXT}",
        f"DATA:;BASE64,{TEXT}",
        base64.encodebytes(PIXELS).decode(),
        TEXT.replace("\n", "\r\n") + "\r\n",
        base64.urlsafe_b64encode(PIXELS).decode(),
        TEXT.rstrip("="),
    ],
)
def test_images_arrive_in_every_dress_of_base64(text: str) -> None:
    """`canvas.toDataURL()`, `base64 FILE`, Python's and Java's URL-safe form: all are what clients have at hand."""
    body = json.dumps({"image": text}).encode()
    (item,) = parse_request(body, content_type="application/json", limits=LIMITS).items
    assert item.file == PIXELS


def test_lines_of_json_are_items_and_each_has_its_own_error() -> None:
    """SageMaker joins answers to lines by their number; one bad line must not lose a file of a million."""
    body = strokes([[0, 0], [1, 1]]) + b'\n\n{"image": "*"}\r\n[1]\n'
    request = parse_request(body, content_type="application/jsonlines", limits=replace(LIMITS, max_items=4))
    assert request.form == "lines"
    first, *others = request.items
    assert first.strokes is not None
    assert [item.error.status for item in others if item.error] == [400, 400, 400]
    without_end = parse_request(strokes([[0, 0]]), content_type="application/x-ndjson; charset=utf-8", limits=LIMITS)
    assert len(without_end.items) == 1


@pytest.mark.parametrize(
    ("content_type", "body", "status", "words"),
    [
        ("image/png", b"", 400, "empty"),
        ("text/plain", b"x", 415, "send image"),
        ("application/x-www-form-urlencoded", b"x", 415, "multipart/form-data"),
        ("multipart/form-data", b"x", 400, "boundary"),
        (FORM, b"no form", 400, "cannot be parsed"),
        (FORM, part(b"1"), 400, "cut off"),
        (FORM, b"--b--\r\n", 400, "no file"),
        (FORM, part(b"1") + b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n{}\r\n--b--', 400, "part 2"),
        (FORM, b"--b\r\nContent-Disp[: x\r\n\r\n", 400, "cannot be parsed"),
        ("application/jsonlines", b" \n", 400, "empty"),
        ("application/jsonlines", b"{}\n" * 4, 422, "4 items"),
        ("application/json", b'{"image": "data:image/png,xyz"}', 400, "data URL without base64"),
        ("application/json", b'{"items": 3}', 400, "neither"),
        (FORM, part(b"1") * 4 + b"--b--", 422, "more than 3 files"),
        (f"multipart/form-data; boundary={'b' * 300}", b"x", 400, "cannot be parsed"),
        ("application/json", b"", 400, "not JSON"),
        ("application/json", b'{"strokes": [', 400, "not JSON"),
        ("application/json", b"\xff\xfe\xfd", 400, "not JSON"),
        ("application/json", b"[" * 40, 400, "not JSON"),
        ("application/json", b"[]", 400, "neither"),
        ("application/json", b"3", 400, "neither"),
        ("application/json", b'{"strokes": [], "image": ""}', 400, "exactly one"),
        ("application/json", b'[{"strokes": []}, 3]', 400, "item 1"),
        ("application/json", b'{"inkml": 3}', 400, "not a string"),
        ("application/json", b'{"inkml": "\\ud800"}', 422, "UTF-16"),
        ("application/json", b'{"image": "***"}', 400, "base64"),
        ("application/json", '{"image": "ü"}'.encode(), 400, "base64"),
        ("application/json", b"[" + b'{"strokes":[]},' * 3 + b'{"strokes":[]}]', 422, "4 items"),
        ("application/json", b'{"strokes": [[[NaN, 1]]]}', 422, "NaN"),
        ("application/json", b'{"strokes": [[[1, -Infinity]]]}', 422, "Infinity"),
        ("application/json", b'{"strokes": "abc"}', 422, "known form"),
        ("application/json", strokes([[0, 0]], [[1]]), 422, "stroke 1"),
        ("application/json", strokes([["1", "2"]]), 422, "two numbers"),
        ("application/json", strokes([[True, False]]), 422, "two numbers"),
        ("application/json", strokes([[None, 1]]), 422, "two numbers"),
        ("application/json", strokes([1, 2]), 422, "stroke 0"),
        ("application/json", strokes([[0, 0]] * 11), 422, "11 points, the limit is 10"),
        ("application/json", strokes(*[[[0, 0]]] * 5), 422, "5 strokes, the limit is 4"),
        ("application/json", strokes([[0, 0]] * 100), 422, "more values"),
    ],
)
def test_unusable_bodies_are_refused_in_one_line(content_type: str, body: bytes, status: int, words: str) -> None:
    """With a status that tells whether the client or its user can fix the problem."""
    with pytest.raises(HttpError, match=re.escape(words)) as refused:
        parse_request(body, content_type=content_type, limits=LIMITS)
    assert refused.value.status == status
    assert "\n" not in str(refused.value)


def test_numbers_beyond_float32_become_infinite() -> None:
    """Drawing refuses them; an integer of 400 digits must not end in a conversion error before."""
    body = b'{"strokes": [[[1e39, ' + b"9" * 400 + b"]]]}"
    request = parse_request(body, content_type="application/json", limits=LIMITS)
    assert request.items[0].strokes is not None
    assert np.isinf(request.items[0].strokes[0]).all()


def test_deep_nesting_does_not_crash() -> None:
    """Python's recursion limit must be an error of the client, not of the server."""
    limits = Limits(max_points=100_000)
    with pytest.raises(HttpError) as refused:
        parse_request(b"[" * 200_000, content_type="application/json", limits=limits)
    assert refused.value.status == 400


TYPES = ["application/json", "application/jsonlines", FORM, "image/png", "", "a;b=\0"]


@given(body=st.binary(max_size=300), content_type=st.sampled_from(TYPES))
def test_any_bytes_give_items_or_an_error(body: bytes, content_type: str) -> None:
    """Any other exception would be status 500 and a stack trace in the log."""
    try:
        request = parse_request(body, content_type=content_type, limits=LIMITS)
    except HttpError as error:
        is_right = error.status in {400, 413, 415, 422}
    else:
        is_right = 1 <= len(request.items) <= LIMITS.max_items
    assert is_right
