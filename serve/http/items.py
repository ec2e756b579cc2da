"""A body of HTTP taken apart into inks and images. Pure: bytes in, items out; whatever the bytes, or a refusal."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from latexify.pipeline.inks.ink import Stroke
from latexify.serve.http.http_errors import HttpError, malformed, too_large, unsupported, unusable
from latexify.serve.http.limits import Limits
from latexify.serve.http.multipart import split_parts

JSON = "application/json"
MULTIPART = "multipart/form-data"
INKML = "application/inkml+xml"
FILES = (INKML, "application/xml", "text/xml", "application/octet-stream", "application/x-image")
"""And every `image/…`: one file, InkML or an image, told apart by its content."""

KINDS = ("strokes", "inkml", "image")
"""What an object of JSON may hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One ink or image. Exactly one of the two is given.

    file: the content of an InkML or image file. strokes: each float32 [num_points, 2], x to the right, y downward.
    """

    file: bytes | None = None
    strokes: Sequence[Stroke] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """All of a request, in its order. is_list: whether the answer is a list too, even of one."""

    items: Sequence[Item]
    is_list: bool


def read_items(body: bytes, *, content_type: str, limits: Limits) -> Items:
    """Take a body apart. content_type: the header, empty if there was none.

    Raises HttpError: 400 malformed, 413 too many items, 415 another type, 422 strokes that are none or too many.
    """
    kind, options = parse_options_header(content_type)
    name = kind.decode("latin-1").lower()
    if name == JSON:
        return _from_json(body, limits)
    if name == MULTIPART:
        return _from_parts(body, options.get(b"boundary", b""), limits)
    if name in FILES or name.startswith("image/") or not name:
        if not body:
            raise malformed("the body is empty: send an image, InkML or strokes")
        return Items(items=[Item(file=body)], is_list=False)
    raise unsupported(f"content type {name[:80]}: send image/*, {INKML}, {JSON} or {MULTIPART}")


def _from_parts(body: bytes, boundary: bytes, limits: Limits) -> Items:
    if not boundary:
        raise malformed(f"{MULTIPART} names no boundary: let the HTTP library make the header")
    try:
        parts = split_parts(body, boundary=boundary, max_parts=limits.max_items)
    except FormParserError as error:
        raise malformed(f"the parts of the body cannot be told apart ({error})") from None
    if not parts:
        raise malformed("the form holds no file: send at least one, such as by curl -F file=@ink.inkml")
    return Items(items=[Item(file=part) for part in parts], is_list=True)


def _from_json(body: bytes, limits: Limits) -> Items:
    # every list and number is an object of Python, many times the size of its text: count before they are made
    if body.count(b",") + body.count(b"[") + body.count(b"{") > 4 * (limits.max_points + limits.max_strokes):
        raise unusable(f"the JSON holds more values than {limits.max_points} points have: send less at a time")
    try:
        content = json.loads(body, parse_constant=_refuse_constant, parse_int=float)
    except HttpError:
        raise
    except RecursionError:
        raise malformed("the JSON is nested too deep") from None
    except ValueError as error:  # of JSON, of UTF-8
        raise malformed(f"the body is no JSON ({error})") from None
    if isinstance(content, dict):
        return Items(items=_checked([_item(content, "")], limits), is_list=False)
    if not isinstance(content, list) or not content:
        raise malformed(f"the JSON is neither an object with one of {', '.join(KINDS)} nor a list of such objects")
    if len(content) > limits.max_items:
        raise too_large(f"{len(content)} items, at most {limits.max_items} are taken: send several requests")
    items = [_item(part, f"item {number}: ") for number, part in enumerate(content)]
    return Items(items=_checked(items, limits), is_list=True)


def _refuse_constant(name: str) -> NoReturn:
    raise unusable(f"{name} is no coordinate (nor JSON): leave out points that are not finite")


def _item(content: Any, where: str) -> Item:
    if not isinstance(content, dict) or len(content) != 1 or next(iter(content)) not in KINDS:
        raise malformed(f"{where}an object with exactly one of {', '.join(KINDS)} is needed")
    ((kind, value),) = content.items()
    if kind == "strokes":
        return Item(strokes=_strokes(value, where))
    if not isinstance(value, str):
        raise malformed(f"{where}{kind} is no text: give {'base64' if kind == 'image' else 'the XML'}")
    try:
        return Item(file=value.encode() if kind == "inkml" else base64.b64decode(value, validate=True))
    except UnicodeEncodeError:
        raise unusable(f"{where}inkml holds half a character of UTF-16") from None
    except (binascii.Error, ValueError) as error:
        raise malformed(f"{where}image is no base64 ({error})") from None


def _strokes(value: Any, where: str) -> list[Stroke]:
    """Numbers are all floats here, as integers were read so."""
    if not isinstance(value, list):
        raise unusable(f"{where}strokes is no list of strokes, each a list of points [x, y]")
    for number, stroke in enumerate(value):
        is_sound = isinstance(stroke, list) and all(
            type(point) is list and len(point) == 2 and type(point[0]) is type(point[1]) is float for point in stroke
        )
        if not is_sound:
            raise unusable(f"{where}stroke {number} is no list of points [x, y], two numbers each")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused when it is drawn
        return [np.array(stroke, dtype=np.float32).reshape(-1, 2) for stroke in value]


def _checked(items: Sequence[Item], limits: Limits) -> Sequence[Item]:
    strokes = [stroke for item in items for stroke in item.strokes or ()]
    if len(strokes) > limits.max_strokes:
        raise unusable(f"{len(strokes)} strokes, at most {limits.max_strokes} are taken: send less at a time")
    num_points = sum(map(len, strokes))
    if num_points > limits.max_points:
        raise unusable(f"{num_points} points, at most {limits.max_points} are taken: send less, or thin them out")
    return items
