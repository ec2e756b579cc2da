"""Schemas of requests and answers for the OpenAPI description. The service checks requests itself (`requests`).

Every class is a named component, so that a generated client has a class for it. Fields that are absent unless there is
something to say are not nullable.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from latexify.serve.http.limits import Limits

LIMITS = Limits()
COORDINATE = {"type": "number", "minimum": -LIMITS.max_coordinate, "maximum": LIMITS.max_coordinate}
POINT = {"type": "array", "prefixItems": [COORDINATE] * 2, "items": {"type": ["number", "null"]}, "minItems": 2}
STROKES: dict[str, Any] = {
    "type": "array",
    "items": {"type": "array", "items": POINT},
    "contains": {"type": "array", "minItems": 1},
    "maxItems": LIMITS.max_strokes,
}


def _without_null(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class Alternative(BaseModel):
    """Another candidate of the beam search."""

    latex: str
    confidence: float = Field(
        ge=0, le=1, description="Its share of what the best candidate leaves: all are at most 1 together."
    )


class Answer(BaseModel):
    """The best candidate."""

    latex: str
    confidence: float = Field(
        ge=0,
        le=1,
        description="Probability that the answer is right if calibrated, else the mean probability of its tokens.",
    )
    calibrated: bool
    alternatives: list[Alternative] = Field(description="Best first; empty if beams is 1.")
    left_out: dict[str, int] | SkipJsonSchema[None] = Field(
        default=None,
        json_schema_extra=_without_null,
        description="Elements of a drawing that are no strokes, such as texts, by kind; only if there are any.",
    )
    formats: dict[str, str | None] | SkipJsonSchema[None] = Field(
        default=None,
        json_schema_extra=_without_null,
        description="Only if formats were wanted: the text in each, null if it cannot express the formula.",
    )
    format_errors: dict[str, str] | SkipJsonSchema[None] = Field(
        default=None, json_schema_extra=_without_null, description="Why a format has no text; absent if none."
    )


class Failure(BaseModel):
    """Why there is no answer, in one line."""

    error: str
    status: int = Field(ge=400, le=599)


class AnswerList(BaseModel):
    """An answer or a failure for each item of a list, in the same order."""

    results: list[Answer | Failure]


class Status(BaseModel):
    """The state of the service, and how many of its models are loaded (`--workers`)."""

    status: str
    models: int


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StrokesItem(_Body):
    """An ink as strokes: lists of points [x, y], x to the right, y downward, in any unit.

    What a point has behind x and y, such as time and pressure, is ignored. The forms of ML Kit, Mathpix and Excalidraw
    are read, too.
    """

    strokes: Annotated[list[list[list[float]]], Field(json_schema_extra=lambda schema: _replace(schema, STROKES))]


class InkmlItem(_Body):
    """An ink as the text of an InkML file."""

    inkml: str = Field(json_schema_extra={"format": "inkml"})


class ImageItem(_Body):
    """An image file in base64, also as a data URL, with line ends, or URL-safe."""

    image: str = Field(json_schema_extra={"format": "base64-image"})


class ItemList(_Body):
    """Several inks and images."""

    items: list[StrokesItem | InkmlItem | ImageItem] = Field(min_length=1, max_length=LIMITS.max_items)


class FileForm(_Body):
    """Several files, each an image or InkML."""

    file: list[bytes] = Field(
        min_length=1,
        max_length=LIMITS.max_items,
        json_schema_extra=lambda schema: schema.update(items={"type": "string", "format": "binary"}),
    )


BODIES = (StrokesItem, InkmlItem, ImageItem, ItemList, FileForm)

ERRORS = {
    400: "Malformed JSON, form or base64, or an empty body.",
    408: "The body did not arrive in time.",
    413: "The body, an image or the list is too large.",
    415: "Not an image of a supported format, InkML or JSON; or compressed.",
    421: "The address in the header Host is not one of this service.",
    422: "Damaged or blank; or strokes or parameters that are invalid, not finite or too many.",
    503: "The queue is full, or the model is still loading: retry after the time in Retry-After.",
    504: "The answer took too long.",
}
KEY_ERRORS = {401: "The API key is missing or wrong."}
RATE_ERRORS = {429: "Too many requests: retry after the time in Retry-After."}
Responses = dict[int | str, dict[str, Any]]
"""FastAPI's type of the answers of a route, by status."""


def responses(answer: type[BaseModel], *, errors: Mapping[int, str]) -> Responses:
    """Return FastAPI's `responses` of a route that answers with `answer`."""
    failures: Responses = {status: {"model": Failure, "description": text} for status, text in errors.items()}
    return {200: {"model": answer, "description": answer.__doc__}, **failures}


def _replace(schema: dict[str, Any], content: dict[str, Any]) -> None:
    title = schema.get("title")
    schema.clear()
    schema.update(content, title=title)
