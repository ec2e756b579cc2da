"""Answers and examples for the OpenAPI description. The service checks requests itself (`requests`)."""

from typing import Any

from pydantic import BaseModel, Field

from latexify.serve.http.limits import Limits
from latexify.serve.http.requests import INKML, JSON, MULTIPART

CROSS = [[[0, 0], [10, 12]], [[10, 0], [0, 12]]]  # the strokes of an x
INK = '<ink xmlns="http://www.w3.org/2003/InkML"><trace>0 0, 10 12</trace><trace>10 0, 0 12</trace></ink>'


class AlternativeSchema(BaseModel):
    """Another candidate of the beam search."""

    latex: str = Field(examples=["\\times"])
    confidence: float = Field(
        ge=0,
        le=1,
        examples=[0.31],
        description="Its share of what the best candidate leaves: all are at most 1 together.",
    )


class AnswerSchema(BaseModel):
    """The best candidate."""

    latex: str = Field(examples=["x"])
    confidence: float = Field(
        ge=0,
        le=1,
        examples=[0.93],
        description="Probability that the answer is right if calibrated, else the mean probability of its tokens.",
    )
    calibrated: bool
    alternatives: list[AlternativeSchema] = Field(description="Best first; empty if beams is 1.")
    left_out: dict[str, int] | None = Field(
        default=None,
        description="Elements of a drawing that are no strokes, such as texts, by kind; only if there are any.",
    )
    formats: dict[str, str | None] | None = Field(
        default=None,
        description="Only if formats were wanted: the text in each, null if it cannot express the formula.",
        examples=[{"typst": "x"}],
    )
    format_errors: dict[str, str] | None = Field(default=None, description="Why a format has no text; absent if none.")


class ErrorSchema(BaseModel):
    """Why there is no answer, in one line."""

    error: str = Field(examples=["stroke 0 is not a list of points [x, y] of two numbers"])
    status: int = Field(examples=[422])


class AnswerListSchema(BaseModel):
    """An answer or an error for each item of a list, in the same order."""

    results: list[AnswerSchema | ErrorSchema]


ERRORS = {
    400: "Malformed JSON, form or base64, or an empty body.",
    408: "The body did not arrive in time.",
    413: "The body, an image or the list is too large.",
    415: "Not an image of a supported format, InkML or JSON; or compressed.",
    422: "Damaged or blank; or strokes that are invalid, not finite or too many.",
    503: "The queue is full, or the model is still loading: retry after the time in Retry-After.",
    504: "The answer took too long.",
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": AnswerSchema | AnswerListSchema, "description": "An answer, or a list of them if a list was sent."},
    **{status: {"model": ErrorSchema, "description": text} for status, text in ERRORS.items()},
}


def request_body(limits: Limits) -> dict[str, Any]:
    """Return OpenAPI's `requestBody`."""
    points = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    one = {
        "type": "object",
        "description": "Exactly one of the three. Strokes are lists of points [x, y], x to the right, y downward; the "
        "forms of ML Kit and Mathpix are read, too.",
        "properties": {
            "strokes": {"anyOf": [{"type": "array", "items": {"type": "array", "items": points}}, {}]},
            "inkml": {"type": "string"},
            "image": {"type": "string", "format": "byte"},
        },
        "minProperties": 1,
        "maxProperties": 1,
    }
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": limits.max_items}
    examples = {
        "strokes": {"summary": "An x", "value": {"strokes": CROSS}},
        "list": {"summary": "Two in two formats", "value": [{"strokes": CROSS}, {"inkml": INK}]},
    }
    file = {"type": "string", "format": "binary"}
    files = {"type": "object", "properties": {"file": {"type": "array", "items": file}}}
    return {
        "required": True,
        "content": {
            JSON: {"schema": {"oneOf": [one, several]}, "examples": examples},
            INKML: {"schema": {"type": "string"}, "example": INK},
            "image/*": {"schema": file},
            MULTIPART: {"schema": files},
        },
    }
