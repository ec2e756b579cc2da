"""The examples of the description and of the docs are what the service answers with the shipped model."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from latexify.serve.http.api.examples import EXAMPLES, Example
from scripts.example_answers import PAGE, ask, ready_client, wait_until_ready, with_examples

TOLERANCE = 0.01  # of a confidence, on other processors


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    """The service with the shipped model."""
    with ready_client() as client:
        wait_until_ready(client)
        yield client


def rounded(value: Any) -> Any:
    """The same JSON with confidences that compare as equal within the tolerance."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return pytest.approx(value, abs=TOLERANCE) if isinstance(value, float) else value


@pytest.mark.parametrize("example", EXAMPLES, ids=[example.name for example in EXAMPLES])
def test_the_service_answers_as_documented(client: TestClient, example: Example) -> None:
    """The first thing that a newcomer tries must give what the page shows; if not, run scripts.example_answers."""
    assert ask(example, client) == rounded(example.answer)


def test_the_page_shows_these_examples() -> None:
    """Requests and answers of the docs are those that the test above checks; if not, run scripts.example_answers."""
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_examples(page, {example.name: example.answer for example in EXAMPLES})
    assert page.count("curl --json") == len(EXAMPLES)


def test_the_description_shows_these_examples(client: TestClient) -> None:
    """Swagger and generated documentation show requests and answers."""
    paths = client.get("/openapi.json").json()["paths"]
    for example in EXAMPLES:
        operation = paths[example.path.partition("?")[0]]["post"]
        assert operation["operationId"] == example.operation
        body = operation["requestBody"]["content"]["application/json"]["examples"][example.name]
        answer = operation["responses"]["200"]["content"]["application/json"]["examples"][example.name]
        assert (body["value"], answer["value"]) == (example.body, example.answer)
