"""The description is one that client generators understand, and the client that one of them makes works."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latexify.common.package_data import default_model
from latexify.serve.http.api.examples import SUM
from tests.support.http_service import make_service
from tests.support.service_process import service

GENERATOR = shutil.which("openapi-python-client")
CLIENT = Path(__file__).resolve().parents[3] / "support" / "generated_client.py"


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """The description of the service."""
    return make_service(default_model()).openapi()


def operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All operations."""
    for methods in description["paths"].values():
        yield from methods.values()


def test_operations_and_bodies_have_names(description: dict[str, Any]) -> None:
    """Generators name functions by operations and classes by components; what has no name gets `recognize_recognize`.

    openapi-python-client makes calls that raise if a body is a list or may be one, warns of content types other than
    these, and leaves the operation out.
    """
    ids = [operation["operationId"] for operation in operations(description)]
    assert sorted(ids) == ["health", "metrics", "ready", "recognize", "recognize_batch"]
    bodies = [
        operation["requestBody"]["content"] for operation in operations(description) if "requestBody" in operation
    ]
    assert len(bodies) == 2
    for content in bodies:
        assert content.keys() <= {"application/json", "application/octet-stream", "multipart/form-data"}
        for media_type, body in content.items():
            schema = body["schema"]
            for choice in schema.get("anyOf", [schema]):
                if media_type == "application/octet-stream":
                    assert choice == {"type": "string", "format": "binary"}
                else:
                    assert component(description, choice)["type"] == "object"
    answers = [
        operation["responses"]["200"]["content"].get("application/json") for operation in operations(description)
    ]
    assert [component(description, answer["schema"])["type"] for answer in answers if answer] == ["object"] * 4


def component(description: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """The component that a schema refers to."""
    name = schema["$ref"].removeprefix("#/components/schemas/")
    found: dict[str, Any] = description["components"]["schemas"][name]
    return found


def test_schemas_are_as_tight_as_the_service(description: dict[str, Any]) -> None:
    """What fits the schema of a body but has other fields, no points or no items would be refused."""
    schemas = description["components"]["schemas"]
    for name in ("StrokesItem", "InkmlItem", "ImageItem", "ItemList", "FileForm"):
        assert schemas[name]["additionalProperties"] is False
        assert len(schemas[name]["required"]) == 1
    assert schemas["StrokesItem"]["properties"]["strokes"]["contains"]["minItems"] == 1
    assert schemas["ItemList"]["properties"]["items"]["minItems"] == 1
    assert schemas["FileForm"]["properties"]["file"]["maxItems"] == 32


@pytest.mark.slow
@pytest.mark.skipif(GENERATOR is None, reason="openapi-python-client is not installed")
def test_a_generated_client_makes_every_call(description: dict[str, Any], tmp_path: Path) -> None:
    """openapi-python-client knows every operation, and its client gets every kind of answer, without a warning."""
    assert GENERATOR is not None
    (tmp_path / "openapi.json").write_text(json.dumps(description), encoding="utf-8")
    options = ["--path", "openapi.json", "--output-path", "client", "--meta", "none"]
    made = subprocess.run([GENERATOR, "generate", *options], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "arning" not in made.stdout + made.stderr
    interpreter = Path(GENERATOR).resolve().parent / "python"  # has what the client needs
    python = str(interpreter) if interpreter.exists() else sys.executable
    with service(default_model()) as running:
        command = [python, str(CLIENT), running.url, json.dumps(SUM)]
        called = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert called.returncode == 0, called.stderr
    assert called.stdout.split() == ["health", "ready", "metrics", *["1+1"] * 9, "422", "415"]
