"""Examples of requests and of what the service answers with the shipped model.

`python -m scripts.example_answers` asks the model again, and rewrites the answers here and in docs/guide/serving.md.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUM = [[[0, 0], [0, 12]], [[6, 6], [16, 6]], [[11, 1], [11, 11]], [[22, 0], [22, 12]]]
"""Strokes of 1+1."""
INK = (
    '<ink xmlns="http://www.w3.org/2003/InkML"><trace>0 0, 0 12</trace><trace>6 6, 16 6</trace>'
    "<trace>11 1, 11 11</trace><trace>22 0, 22 12</trace></ink>"
)
"""The same as InkML."""
ANSWERS_PATH = Path(__file__).with_name("answers.json")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A request and its answer."""

    name: str
    summary: str
    operation: str  # its id in the OpenAPI description
    query: str
    body: Any

    @property
    def path(self) -> str:
        """Path and query of the request."""
        return {"recognize": "/recognize", "recognize_batch": "/recognize/batch"}[self.operation] + self.query

    @property
    def answer(self) -> Any:
        """What the service answered with the shipped model."""
        return json.loads(ANSWERS_PATH.read_text(encoding="utf-8"))[self.name]


EXAMPLES = (
    Example(name="strokes", summary="1+1", operation="recognize", query="", body={"strokes": SUM}),
    Example(
        name="alternatives",
        summary="1+1, with alternatives and as Typst",
        operation="recognize",
        query="?beams=3&formats=typst",
        body={"strokes": SUM},
    ),
    Example(
        name="several",
        summary="Two inks and something that is no image",
        operation="recognize_batch",
        query="",
        body={"items": [{"strokes": SUM}, {"inkml": INK}, {"image": "bm8gaW1hZ2U="}]},
    ),
)
