"""Read strokes from JSON: which of the known forms a value has decides its reader."""

import json
from typing import Any, NoReturn

from latexify.pipeline.config import LABEL_ANNOTATIONS, MAX_POINTS
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.strokes import excalidraw, mathpix, ml_kit, point_lists
from latexify.pipeline.strokes.content import InkFile
from latexify.pipeline.strokes.points import require_finite

FORMATS = (excalidraw, mathpix, ml_kit, point_lists)
"""Modules of the forms. Each has `matches(value)` and `read(value, max_points=…)`; the first that matches reads."""


def read_json_file(data: bytes, *, max_file_bytes: int, max_points: int) -> InkFile:
    """Read a JSON file. Raises UnusableInkError if it is damaged, too large or of an unknown form."""
    if len(data) > max_file_bytes:
        raise UnusableInkError(Reason.TOO_LARGE, f"{len(data)} bytes, at most {max_file_bytes} are allowed")
    try:
        value = json.loads(data, parse_constant=_refuse_constant, parse_int=float)  # no integer is too large
    except RecursionError:
        raise UnusableInkError(Reason.MALFORMED_JSON, "nested too deeply") from None
    except UnusableInkError:
        raise
    except ValueError as error:  # of JSON, or of its encoding
        raise UnusableInkError(Reason.MALFORMED_JSON, str(error)) from None
    ink = read_value(value, max_points=max_points)
    require_finite(ink.strokes)
    return ink


def _refuse_constant(name: str) -> NoReturn:
    raise UnusableInkError(Reason.BAD_POINTS, f"{name} is not a coordinate")


def read_value(value: Any, *, max_points: int = MAX_POINTS) -> InkFile:
    """Read an ink from a JSON value, which may have infinite coordinates.

    Raises UnusableInkError if it has none of the known forms, is damaged, or has no points.
    """
    reader = next((each for each in FORMATS if each.matches(value)), None)
    if reader is None:
        raise UnusableInkError(
            Reason.UNKNOWN_FORMAT,
            "the JSON holds no strokes of a known form: lists of points [[[x, y], …], …], ML Kit, Mathpix, Excalidraw",
        )
    ink = reader.read(value, max_points=max_points)
    return InkFile(strokes=ink.strokes, annotations=labels_of(value), left_out=ink.left_out)


def is_known_json(data: bytes) -> bool:
    """Whether a file is JSON of one of the known forms."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return any(each.matches(value) for each in FORMATS)


def labels_of(value: Any) -> dict[str, str]:
    """Return the labels that an object holds beside its strokes, under the names that InkML uses."""
    if not isinstance(value, dict):
        return {}
    return {name: value[name].strip() for name in LABEL_ANNOTATIONS if isinstance(value.get(name), str)}
