"""Parse request bodies into inks and images. Any bytes give either items or an `HttpError`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from python_multipart.multipart import parse_options_header

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason, Stroke
from latexify.pipeline.strokes.excalidraw import matches as is_excalidraw
from latexify.pipeline.strokes.json_file import read_value
from latexify.serve.http.api.base64_text import decode_base64
from latexify.serve.http.api.forms import MULTIPART, files_of_form
from latexify.serve.http.http_errors import HttpError, malformed, unsupported, unusable
from latexify.serve.http.limits import Limits

JSON = "application/json"
JSON_LINES = "application/jsonlines"
JSON_LINES_TYPES = (JSON_LINES, "application/x-jsonlines", "application/jsonl", "application/x-ndjson")
"""Names of JSON lines: one JSON object a line; SageMaker's batch transform sends the first."""
INKML = "application/inkml+xml"
FILE_TYPES = (INKML, "application/xml", "text/xml", "application/octet-stream", "application/x-image")
"""These, and every ``image/*``, are one file; its content decides whether it is InkML or an image."""
KINDS = ("strokes", "inkml", "image")  # names that a JSON object may have
Form = Literal["one", "list", "lines"]
"""Form of a request and its answer: one item, a list (even of one item), or JSON lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestItem:
    """One ink or image; exactly one of `file`, `strokes` and `error` is given."""

    file: bytes | None = None  # content of an InkML or image file
    strokes: Sequence[Stroke] | None = None  # each float32 [num_points, 2], x to the right, y downward
    error: HttpError | None = None  # of a line of JSON lines that cannot be parsed
    left_out: Mapping[str, int] = field(default_factory=dict)  # beside the strokes: elements that are none, by kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """The items of a request, in its order."""

    items: Sequence[RequestItem]
    form: Form


def parse_request(body: bytes, *, content_type: str, limits: Limits) -> ParsedRequest:
    """Parse a request body; `content_type` is its header, empty if there was none.

    Raises:
        HttpError: 400 if it is malformed, 413 too many items, 415 an unsupported type, 422 invalid or too many strokes.
    """
    header, options = parse_options_header(content_type)
    media_type = header.decode("latin-1").lower()
    if media_type == JSON:
        return _parse_json(body, limits)
    if media_type in JSON_LINES_TYPES:
        return _parse_lines(body, limits)
    if media_type == MULTIPART:
        files = files_of_form(body, options.get(b"boundary", b""), max_files=limits.max_items)
        return ParsedRequest(items=[RequestItem(file=file) for file in files], form="list")
    if media_type in FILE_TYPES or media_type.startswith("image/") or not media_type:
        if not body:
            raise malformed("the body is empty: send an image, InkML or strokes")
        return ParsedRequest(items=[RequestItem(file=body)], form="one")
    raise unsupported(f"content type {media_type[:80]}: send image/*, {INKML}, {JSON}, {JSON_LINES} or {MULTIPART}")


def _parse_json(body: bytes, limits: Limits) -> ParsedRequest:
    _check_number_of_values(body, limits)
    content = _load(body)
    if isinstance(content, dict) and content.keys() == {"items"}:
        content = content["items"]
    elif isinstance(content, dict):
        return ParsedRequest(items=_check_size([_parse_item(content, "")], limits), form="one")
    if not isinstance(content, list) or not content:
        raise malformed(f"the JSON is neither an object with one of {', '.join(KINDS)} nor a list of such objects")
    _check_number_of_items(len(content), limits)
    items = [_parse_item(value, f"item {i}: ") for i, value in enumerate(content)]
    return ParsedRequest(items=_check_size(items, limits), form="list")


def _parse_lines(body: bytes, limits: Limits) -> ParsedRequest:
    """Parse JSON lines, of which each is an item; one that cannot be parsed does not affect the others."""
    _check_number_of_values(body, limits)
    if not body.strip():
        raise malformed("the body is empty: send a JSON object on each line")
    lines = body.removesuffix(b"\n").split(b"\n")
    _check_number_of_items(len(lines), limits)
    return ParsedRequest(items=_check_size([_item_or_error(line) for line in lines], limits), form="lines")


def _item_or_error(line: bytes) -> RequestItem:
    try:
        return _parse_item(_load(line), "")
    except HttpError as error:
        return RequestItem(error=error)


def _load(text: bytes) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_int=float)
    except HttpError:
        raise
    except RecursionError:
        raise malformed("the JSON is nested too deeply") from None
    except ValueError as error:  # of JSON or UTF-8
        raise malformed(f"the body is not JSON ({error})") from None


def _check_number_of_values(body: bytes, limits: Limits) -> None:
    """Every list and number becomes a Python object, many times the size of its text: count them before parsing."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > 4 * (limits.max_points + limits.max_strokes):
        raise unusable(f"the JSON has more values than {limits.max_points} points need: send less at a time")


def _check_number_of_items(number: int, limits: Limits) -> None:
    if number > limits.max_items:
        raise unusable(f"{number} items, the limit is {limits.max_items}: send several requests")


def _refuse_constant(name: str) -> NoReturn:
    raise unusable(f"{name} is not a coordinate (and not JSON): leave out points that are not finite")


def _parse_item(content: Any, prefix: str) -> RequestItem:
    if is_excalidraw(content):
        return _parse_strokes(content, prefix)
    if not isinstance(content, dict) or len(content) != 1 or next(iter(content)) not in KINDS:
        raise malformed(f"{prefix}expected an object with exactly one of {', '.join(KINDS)}")
    ((kind, value),) = content.items()
    if kind == "strokes":
        return _parse_strokes(value, prefix)
    if not isinstance(value, str):
        raise malformed(f"{prefix}{kind} is not a string: send {'base64' if kind == 'image' else 'the XML'}")
    if kind == "image":
        return RequestItem(file=decode_base64(value, name=f"{prefix}image"))
    try:
        return RequestItem(file=value.encode())
    except UnicodeEncodeError:
        raise unusable(f"{prefix}inkml has an unpaired surrogate of UTF-16") from None


def _parse_strokes(value: Any, prefix: str) -> RequestItem:
    """Read strokes in any of the forms of `latexify.pipeline.strokes`."""
    try:
        ink = read_value(value if is_excalidraw(value) else {"strokes": value})
    except UnusableInkError as error:
        if error.reason == Reason.NO_STROKES and not is_excalidraw(value):
            return RequestItem(strokes=[])  # an error of this item when it is drawn, not of the whole request
        raise unusable(f"{prefix}{error.detail}") from None
    return RequestItem(strokes=ink.strokes, left_out=ink.left_out)


def _check_size(items: Sequence[RequestItem], limits: Limits) -> Sequence[RequestItem]:
    strokes = [stroke for item in items for stroke in item.strokes or ()]
    if len(strokes) > limits.max_strokes:
        raise unusable(f"{len(strokes)} strokes, the limit is {limits.max_strokes}: send less at a time")
    num_points = sum(map(len, strokes))
    if num_points > limits.max_points:
        raise unusable(f"{num_points} points, the limit is {limits.max_points}: send less, or fewer points a stroke")
    return items
