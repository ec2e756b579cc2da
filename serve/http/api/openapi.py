"""The OpenAPI description: FastAPI's, with the bodies that the service reads itself, and keys if they are needed."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from latexify.serve.http.api.examples import EXAMPLES, Example
from latexify.serve.http.api.forms import MULTIPART
from latexify.serve.http.api.requests import JSON
from latexify.serve.http.api.schemas import BODIES

BINARY = "application/octet-stream"
REFERENCE = "#/components/schemas/{model}"
SECURITY = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
ONE = {"anyOf": [{"$ref": REFERENCE.format(model=name)} for name in ("StrokesItem", "InkmlItem", "ImageItem")]}
FILE = {"type": "string", "format": "binary"}


def body_of_one() -> dict[str, Any]:
    """Return `requestBody` of the route for one ink or image."""
    return _body({JSON: {"schema": ONE, "examples": _examples("recognize")}, BINARY: {"schema": FILE}})


def body_of_several() -> dict[str, Any]:
    """Return `requestBody` of the route for several."""
    items, form = ({"$ref": REFERENCE.format(model=name)} for name in ("ItemList", "FileForm"))
    return _body({JSON: {"schema": items, "examples": _examples("recognize_batch")}, MULTIPART: {"schema": form}})


def describe(app: FastAPI, *, has_keys: bool) -> None:
    """Let `app` describe itself with all components; with keys, every route but the probes needs one."""

    def description() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            _, bodies = models_json_schema([(body, "validation") for body in BODIES], ref_template=REFERENCE)
            schema["components"]["schemas"] |= bodies["$defs"]
            if has_keys:
                _require_keys(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = description  # type: ignore[method-assign]  # FastAPI's documented way


def _require_keys(schema: dict[str, Any]) -> None:
    schema["components"]["securitySchemes"] = SECURITY
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            operation["security"] = [] if path in {"/health", "/ready"} else [{name: []} for name in SECURITY]


def _body(content: Mapping[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": dict(content)}


def _examples(operation: str) -> dict[str, Any]:
    return {example.name: {"summary": example.summary, "value": example.body} for example in _of(operation)}


def _of(operation: str) -> list[Example]:
    return [example for example in EXAMPLES if example.operation == operation]


def answer_examples(operation: str) -> dict[str, Any]:
    """Return the examples of what an operation answers."""
    return {example.name: {"summary": example.summary, "value": example.answer} for example in _of(operation)}
