"""Answers and examples as OpenAPI shows them. The service checks requests itself (`latexify.serve.http.items`)."""

from typing import Any

from pydantic import BaseModel, Field

from latexify.serve.http.items import INKML, JSON, MULTIPART
from latexify.serve.http.limits import Limits

CROSS = [[[0, 0], [10, 12]], [[10, 0], [0, 12]]]
"""The strokes of an x."""
INK = '<ink xmlns="http://www.w3.org/2003/InkML"><trace>0 0, 10 12</trace><trace>10 0, 0 12</trace></ink>'


class Alternative(BaseModel):
    """Another way to read it."""

    latex: str = Field(examples=["\\times"])
    confidence: float = Field(ge=0, le=1, examples=[0.31])


class Answer(BaseModel):
    """The best reading. confidence: how many of such answers are right; how probable its tokens, if not calibrated."""

    latex: str = Field(examples=["x"])
    confidence: float = Field(ge=0, le=1, examples=[0.93])
    calibrated: bool
    alternatives: list[Alternative] = Field(description="Best first; empty where beams is 1.")


class Problem(BaseModel):
    """Why there is no answer, in one line."""

    error: str = Field(examples=["stroke 0 is no list of points [x, y], two numbers each"])
    status: int = Field(examples=[422])


class Answers(BaseModel):
    """An answer or a problem for each item of a list, in their order."""

    results: list[Answer | Problem]


PROBLEMS = {
    400: "Malformed JSON, form or base64, or an empty body.",
    408: "The body did not arrive in time.",
    413: "The body, an image or the list is too large.",
    415: "Neither an image of a known kind, nor InkML, nor JSON; or compressed.",
    422: "Damaged or blank; strokes that are none, not finite or too many.",
    503: "The queue is full, or the model is not loaded yet: try again after Retry-After.",
    504: "The answer took too long.",
}

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": Answer | Answers, "description": "An answer, or a list where a list was sent."},
    **{status: {"model": Problem, "description": text} for status, text in PROBLEMS.items()},
}


def request_body(limits: Limits) -> dict[str, Any]:
    """The `requestBody` of OpenAPI."""
    points = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    one = {
        "type": "object",
        "description": "Exactly one of the three. Strokes: lists of points [x, y], x to the right, y downward.",
        "properties": {
            "strokes": {"type": "array", "items": {"type": "array", "items": points}},
            "inkml": {"type": "string"},
            "image": {"type": "string", "format": "byte"},
        },
        "minProperties": 1,
        "maxProperties": 1,
    }
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": limits.max_items}
    examples = {
        "strokes": {"summary": "An x", "value": {"strokes": CROSS}},
        "list": {"summary": "Twice, in two ways", "value": [{"strokes": CROSS}, {"inkml": INK}]},
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
