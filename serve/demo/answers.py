"""Answers to the requests of the page's parts, which Streamlit carries as JSON values."""

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from latexify.serve.demo.examples import DemoExample
from latexify.serve.demo.inference import DemoFailure, DemoResult, SharedRecognizer
from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.typesetting import parse_formulas, typeset_formula
from latexify.shards.format.png import encode_png

QUALITIES = {"fast": {"num_beams": 3, "num_drawings": 1}, "best": {"num_beams": 4, "num_drawings": 7}}
"""Options of the search by the page's words, as in web/static/page.js."""
MAX_REQUESTS = 16
"""Requests of one visitor that wait at a time; the page has two or three."""

Answer = dict[str, Any]


def answer_requests(
    requests: Any, answered: dict[str, Answer], *, recognizer: SharedRecognizer, examples: Sequence[DemoExample]
) -> dict[str, Answer]:
    """Answer what a browser sent, a list of ``{"id", "kind", "body"}``; `answered` has the answers of before, by id.

    Returns ``{"content": …}`` or ``{"error": …, "status": …}`` by id. What is no request is left out.
    """
    answers: dict[str, Answer] = {}
    for request in (requests if isinstance(requests, list) else [])[:MAX_REQUESTS]:
        if not isinstance(request, dict) or not isinstance(request.get("id"), str):
            continue
        name, body = request["id"], request.get("body")
        answers[name] = answered.get(name) or _answer(
            request.get("kind"), body if isinstance(body, dict) else {}, recognizer=recognizer, examples=examples
        )
    return answers


def _answer(
    kind: Any, body: dict[str, Any], *, recognizer: SharedRecognizer, examples: Sequence[DemoExample]
) -> Answer:
    try:
        if kind == "recognize":
            return _recognize(body, recognizer)
        if kind == "typeset":
            return {"content": [typeset_formula(latex) for latex in parse_formulas(json.dumps(body).encode())]}
        if kind == "examples":
            return {"content": [example.to_dict() for example in examples]}
    except HttpError as error:
        return {"error": str(error), "status": error.status}
    return {"error": "the page's message is not understood: load the page again", "status": 400}


def _recognize(body: dict[str, Any], recognizer: SharedRecognizer) -> Answer:
    options = QUALITIES.get(str(body.get("quality")), QUALITIES["fast"])
    ink, file = body.get("ink"), body.get("file")
    if isinstance(ink, str):
        results = recognizer.read_ink(ink, **options)
        if isinstance(results, list):
            return {"content": {"results": [_to_value(result, recognizer) for result in results]}}
        return _wrapped(results, recognizer)
    try:
        data = base64.b64decode(file if isinstance(file, str) else "", validate=True)
    except (binascii.Error, ValueError) as error:
        return {"error": f"the file did not arrive whole ({error}): open it again", "status": 400}
    return _wrapped(recognizer.read_file(data, **options), recognizer)


def _wrapped(result: DemoResult | DemoFailure, recognizer: SharedRecognizer) -> Answer:
    value = _to_value(result, recognizer)
    return value if isinstance(result, DemoFailure) else {"content": value}


def _to_value(result: DemoResult | DemoFailure, recognizer: SharedRecognizer) -> dict[str, Any]:
    """Return the answer as the service writes it, with the picture that the model received as a data URL."""
    if isinstance(result, DemoFailure):
        return {"error": result.reason, "status": 422}
    value = result.recognition.to_answer(is_calibrated=recognizer.is_calibrated)
    if result.left_out:
        value["left_out"] = dict(result.left_out)
    # embedded, since Streamlit might drop a stored picture before a slow browser loads it
    value["picture"] = f"data:image/png;base64,{base64.b64encode(encode_png(result.picture)).decode()}"
    return value
