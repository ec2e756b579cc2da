"""Headers of all answers, and HEAD."""

import pytest

from latexify.serve.http.access.headers import HEADERS
from tests.support.http_access import client_of


def test_every_answer_has_the_headers() -> None:
    """A browser must not take an error for a script, nor a page of others frame one; a page keeps its own policy."""
    client = client_of()
    for path in ("/", "/missing"):
        answer = client.get(path)
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert client.get("/page").headers["content-security-policy"] == "its own"
    for words in ("frame-ancestors 'none'", "base-uri 'none'"):
        assert words in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/", "/page", "/missing"])
def test_head_is_get_without_the_body(path: str) -> None:
    """Uptime monitors ask by HEAD, and took 405 for a failure."""
    client = client_of()
    expected, answer = client.get(path), client.head(path)
    assert (answer.status_code, answer.headers, answer.content) == (expected.status_code, expected.headers, b"")
    assert client.head("/recognize").status_code == 405
