"""Parse request bodies into inks and images. Any bytes give either items or an `HttpError`."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason, Stroke
from latexify.pipeline.strokes.excalidraw import matches as is_excalidraw
from latexify.pipeline.strokes.json_file import read_value
from latexify.serve.http.http_errors import HttpError, malformed, too_large, unsupported, unusable
from latexify.serve.http.limits import Limits

JSON = "application/json"
MULTIPART = "multipart/form-data"
INKML = "application/inkml+xml"
FILE_TYPES = (INKML, "application/xml", "text/xml", "application/octet-stream", "application/x-image")
"""These, and every ``image/*``, are one file; its content decides whether it is InkML or an image."""
KINDS = ("strokes", "inkml", "image")  # names that a JSON object may have


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestItem:
    """One ink or image; exactly one of the first two fields is given."""

    file: bytes | None = None  # content of an InkML or image file
    strokes: Sequence[Stroke] | None = None  # each float32 [num_points, 2], x to the right, y downward
    left_out: Mapping[str, int] = field(default_factory=dict)  # beside the strokes: elements that are none, by kind


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """The items of a request, in its order; `is_list` says that the answer is a list too, even for one item."""

    items: Sequence[RequestItem]
    is_list: bool


def parse_request(body: bytes, *, content_type: str, limits: Limits) -> ParsedRequest:
    """Parse a request body; `content_type` is its header, empty if there was none.

    Raises:
        HttpError: 400 if it is malformed, 413 too many items, 415 an unsupported type, 422 invalid or too many strokes.
    """
    header, options = parse_options_header(content_type)
    media_type = header.decode("latin-1").lower()
    if media_type == JSON:
        return _parse_json(body, limits)
    if media_type == MULTIPART:
        return _parse_form(body, options.get(b"boundary", b""), limits)
    if media_type in FILE_TYPES or media_type.startswith("image/") or not media_type:
        if not body:
            raise malformed("the body is empty: send an image, InkML or strokes")
        return ParsedRequest(items=[RequestItem(file=body)], is_list=False)
    raise unsupported(f"content type {media_type[:80]}: send image/*, {INKML}, {JSON} or {MULTIPART}")


def _parse_form(body: bytes, boundary: bytes, limits: Limits) -> ParsedRequest:
    if not boundary:
        raise malformed(f"{MULTIPART} without a boundary: let your HTTP library write the header")
    try:
        files = _split_form(body, boundary=boundary, max_files=limits.max_items)
    except FormParserError as error:
        raise malformed(f"the form cannot be parsed ({error}): let your HTTP library write it") from None
    if not files:
        raise malformed("the form has no file: send at least one, for example with curl -F file=@ink.inkml")
    return ParsedRequest(items=[RequestItem(file=file) for file in files], is_list=True)


def _split_form(body: bytes, *, boundary: bytes, max_files: int) -> list[bytes]:
    """Contents of a form's parts (RFC 7578), whatever their names, without files on disk."""
    files: list[bytearray] = []
    is_complete = False

    def on_part_begin() -> None:
        if len(files) == max_files:
            raise too_large(f"more than {max_files} files: send several requests")
        files.append(bytearray())

    def on_part_data(data: bytes, start: int, end: int) -> None:
        files[-1].extend(memoryview(data)[start:end])

    def on_end() -> None:
        nonlocal is_complete
        is_complete = True

    parser = MultipartParser(
        boundary,
        {"on_part_begin": on_part_begin, "on_part_data": on_part_data, "on_end": on_end},
        max_size=len(body) + 1,
    )
    parser.write(body)
    parser.finalize()
    if not is_complete:
        raise malformed("the form is cut off: its last boundary is missing")
    return [bytes(file) for file in files]


def _parse_json(body: bytes, limits: Limits) -> ParsedRequest:
    # every list and number becomes a Python object, many times the size of its text: count them before parsing
    if body.count(b",") + body.count(b"[") + body.count(b"{") > 4 * (limits.max_points + limits.max_strokes):
        raise unusable(f"the JSON has more values than {limits.max_points} points need: send less at a time")
    try:
        content = json.loads(body, parse_constant=_refuse_constant, parse_int=float)
    except HttpError:
        raise
    except RecursionError:
        raise malformed("the JSON is nested too deeply") from None
    except ValueError as error:  # of JSON or UTF-8
        raise malformed(f"the body is not JSON ({error})") from None
    if isinstance(content, dict):
        return ParsedRequest(items=_check_size([_parse_item(content, "")], limits), is_list=False)
    if not isinstance(content, list) or not content:
        raise malformed(f"the JSON is neither an object with one of {', '.join(KINDS)} nor a list of such objects")
    if len(content) > limits.max_items:
        raise too_large(f"{len(content)} items, the limit is {limits.max_items}: send several requests")
    items = [_parse_item(value, f"item {i}: ") for i, value in enumerate(content)]
    return ParsedRequest(items=_check_size(items, limits), is_list=True)


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
    try:
        return RequestItem(file=value.encode() if kind == "inkml" else base64.b64decode(value, validate=True))
    except UnicodeEncodeError:
        raise unusable(f"{prefix}inkml has an unpaired surrogate of UTF-16") from None
    except (binascii.Error, ValueError) as error:
        raise malformed(f"{prefix}image is not base64 ({error})") from None


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
