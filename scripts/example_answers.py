"""Ask the shipped model for the answers of the service's examples: `python -m scripts.example_answers`.

Rewrites serve/http/api/answers.json, which the OpenAPI description shows, and the examples in docs/guide/serving.md.
Run it whenever another model is shipped; a test compares the answers with what the service says.
"""

import json
import time
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from latexify.common.package_data import default_model
from latexify.serve.http.api.examples import ANSWERS_PATH, EXAMPLES, Example
from latexify.serve.http.app import make_app
from latexify.serve.http.worker import ServiceSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "guide" / "serving.md"
MARKS = ("<!-- examples: python -m scripts.example_answers -->", "<!-- /examples -->")


def ask(example: Example, client: TestClient) -> Any:
    """Return what the service answers."""
    answer = client.post(example.path, json=example.body)
    answer.raise_for_status()
    return answer.json()


def ready_client() -> TestClient:
    """Make a service with the shipped model. To be used as a context manager; `wait_until_ready` then waits for it."""

    def fail(error: BaseException) -> None:
        raise error

    return TestClient(make_app(ServiceSettings(model=default_model(), device="cpu"), on_failure=fail))


def wait_until_ready(client: TestClient) -> None:
    """Wait until the model is loaded."""
    while client.get("/ready").status_code != 200:
        time.sleep(0.05)


def described(examples: dict[str, Any]) -> str:
    """Return the examples as Markdown."""
    blocks = []
    for example in EXAMPLES:
        body = json.dumps(example.body)
        answer = json.dumps(examples[example.name], ensure_ascii=False)
        url = f"localhost:8080{example.path}"
        address = f"'{url}'" if "&" in url else url
        blocks.append(f"```\ncurl --json '{body}' {address}\n{answer}\n```\n")
    return "\n".join(blocks)


def with_examples(page: str, examples: dict[str, Any]) -> str:
    """Return the page with these examples."""
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    return f"{before}{MARKS[0]}\n{described(examples)}{MARKS[1]}{after}"


def main() -> None:
    """Rewrite both files."""
    with ready_client() as client:
        wait_until_ready(client)
        answers = {example.name: ask(example, client) for example in EXAMPLES}
    ANSWERS_PATH.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(with_examples(PAGE.read_text(encoding="utf-8"), answers), encoding="utf-8")


if __name__ == "__main__":
    main()
