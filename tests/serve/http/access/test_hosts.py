"""DNS rebinding: a page of an attacker must not read what a service on this machine answers."""

import pytest

from latexify.serve.http.access.access import Access
from latexify.serve.http.access.hosts import names_of
from tests.support.http_access import client_of

EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize(
    ("address", "named", "host", "status"),
    [
        ("127.0.0.1", [], "localhost:8080", 200),
        ("127.0.0.1", [], "LOCALHOST", 200),
        ("127.0.0.1", [], "app.localhost:8080", 200),
        ("127.0.0.1", [], "127.0.0.1:8080", 200),
        ("127.0.0.1", [], "[::1]:8080", 200),
        ("127.0.0.1", [], "192.168.1.4", 200),
        ("127.0.0.1", [], "", 200),
        ("127.0.0.1", [], "attacker.example", 421),
        ("127.0.0.1", [], "localhost.attacker.example:8080", 421),
        ("127.0.0.1", [], "127.0.0.1.attacker.example", 421),
        ("127.0.0.1", ["ink.example.org"], "ink.example.org", 200),
        ("::1", [], "attacker.example", 421),
        ("localhost", [], "attacker.example", 421),
        (EVERYWHERE, [], "any.example", 200),
        (EVERYWHERE, ["ink.example.org"], "any.example", 421),
        (EVERYWHERE, ["ink.example.org"], "10.0.0.1:8080", 200),
    ],
)
def test_names_that_are_not_of_the_service_are_refused(address: str, named: list[str], host: str, status: int) -> None:
    """An attacker's own name points to 127.0.0.1, but stays in Host; IP addresses and local names are harmless."""
    answer = client_of(Access(hosts=names_of(address, named))).get("/", headers={"host": host})
    assert answer.status_code == status
    if status == 421:
        assert "--allow-host" in answer.json()["error"]
