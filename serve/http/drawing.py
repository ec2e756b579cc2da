"""Turn one item of a request into the picture that the model reads, within the limits of the service."""

import io
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image, UnidentifiedImageError

from latexify.common.errors import LatexifyError
from latexify.pipeline.image.decode import decoding_bytes
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.strokes.ink_file import looks_like_ink
from latexify.serve.http.api.requests import RequestItem
from latexify.serve.http.http_errors import HttpError, too_large, unsupported, unusable
from latexify.serve.http.limits import Limits
from latexify.serve.recognizer import Picture, Recognizer, read_ink

FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the accepted formats. Others are rare for photographs, and some start programs (EPS)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnItem:
    """The picture of an item, and the elements of its file that are no strokes, by kind."""

    picture: Picture
    left_out: Mapping[str, int] = field(default_factory=dict)


def draw_item(item: RequestItem, *, recognizer: Recognizer, limits: Limits) -> DrawnItem:
    """Draw an item as `Recognizer.draw` and `Recognizer.picture_of` do.

    Raises:
        HttpError: Its own; 413 if it is too large, 415 neither InkML nor an image, 422 damaged or blank.
    """
    if item.error is not None:
        raise item.error
    try:
        if item.strokes is not None:
            return _draw_strokes(item.strokes, item.left_out, recognizer, limits)
        assert item.file is not None
        if looks_like_ink(item.file):
            return _draw_ink(item.file, recognizer, limits)
        _check_image(item.file, limits)
        return DrawnItem(picture=recognizer.picture_of(item.file))
    except HttpError:
        raise
    except LatexifyError as error:
        raise unusable(str(error)) from None


def decoding_cost(item: RequestItem, limits: Limits) -> int:
    """Return about how much memory the decoding of an item takes, in bytes, by the header of its image; 0 for inks.

    Raises:
        HttpError: 413 if the image has too many pixels, 415 if it is neither an ink nor an image, 422 damaged.
    """
    if item.file is None or looks_like_ink(item.file):
        return 0
    return _check_image(item.file, limits)


def _draw_ink(data: bytes, recognizer: Recognizer, limits: Limits) -> DrawnItem:
    if len(data) > limits.max_ink_bytes:
        raise too_large(f"the ink has {len(data)} bytes, the limit is {limits.max_ink_bytes}: send a smaller file")
    ink = read_ink(data, max_file_bytes=limits.max_ink_bytes, max_points=limits.max_points)
    if len(ink.strokes) > limits.max_strokes:
        raise unusable(f"{len(ink.strokes)} strokes, the limit is {limits.max_strokes}: send less")
    return _draw_strokes(ink.strokes, ink.left_out, recognizer, limits)


def _draw_strokes(
    strokes: Sequence[Stroke], left_out: Mapping[str, int], recognizer: Recognizer, limits: Limits
) -> DrawnItem:
    largest = max((float(np.abs(stroke).max()) for stroke in strokes if stroke.size), default=0.0)
    if limits.max_coordinate < largest < float("inf"):  # others get the message of the recogniser
        raise unusable(f"a coordinate is beyond {limits.max_coordinate:g}: send points in a smaller unit")
    return DrawnItem(picture=recognizer.draw(strokes), left_out=left_out)


@cache
def _supported_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow has; it raises an error for unknown names."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_image(data: bytes, limits: Limits) -> int:
    """Check format and size by the header alone, without decoding; return the memory that decoding takes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_supported_formats()) as image:
                width, height = image.size
                num_bytes = decoding_bytes(image)
    except UnidentifiedImageError:
        raise unsupported(f"this is neither InkML nor an image of a supported format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise too_large(f"the image has more than {limits.max_pixels:,} pixels: make it smaller") from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error) as error:
        raise unusable(f"the image is damaged ({error})") from None
    if width * height > limits.max_pixels:
        raise too_large(f"the image has {width} x {height} pixels, the limit is {limits.max_pixels:,}: make it smaller")
    if num_bytes > limits.max_decoding_bytes:
        raise too_large(
            f"the image takes {num_bytes / 1e6:.0f} MB to decode, the limit is {limits.max_decoding_bytes / 1e6:.0f}: "
            "make it smaller, or send it as JPEG"
        )
    return num_bytes
