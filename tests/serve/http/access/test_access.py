"""Pages of other origins (CORS), and what the description says of keys and rates."""

from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.serve.http.access.access import Access
from latexify.serve.http.app import make_app
from latexify.serve.http.worker import ServiceSettings
from tests.support.http_access import client_of

ORIGIN = "https://notes.example.org"
PREFLIGHT = {
    "origin": ORIGIN,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
    "access-control-request-private-network": "true",
}


def test_pages_of_allowed_origins_may_use_the_service() -> None:
    """The browser asks before, without a key, and then reads the answer, errors included."""
    client = client_of(Access(origins=(ORIGIN,), keys=("a-key-of-some-length",)))
    asked = client.options("/recognize", headers=PREFLIGHT)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert {"authorization", "content-type"} <= set(asked.headers["access-control-allow-headers"].lower().split(", "))
    refused = client.post("/recognize", headers={"origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)
    assert refused.headers["access-control-expose-headers"] == "Retry-After"
    other = client.options("/recognize", headers=PREFLIGHT | {"origin": "https://attacker.example"})
    assert "access-control-allow-origin" not in other.headers


def test_without_the_option_no_other_page_may() -> None:
    """A service on a developer's machine must not answer every page that he visits."""
    client = client_of()
    assert client.options("/recognize", headers=PREFLIGHT).status_code == 405
    assert "access-control-allow-origin" not in client.post("/recognize", headers={"origin": ORIGIN}).headers


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/", "https://example.org/a", "", "file://"])
def test_what_is_no_origin_is_refused(origin: str) -> None:
    """It would never match, and nobody would know why."""
    with pytest.raises(LatexifyError, match="--allow-origin"):
        Access(origins=(origin,))


def test_the_description_names_what_is_checked() -> None:
    """Generated clients send the key, and know the statuses; probes need no key."""
    access = Access(keys=("a-key-of-some-length",), per_minute=5)
    description = make_app(ServiceSettings(model=Path("none")), access=access, on_failure=print).openapi()
    operation = description["paths"]["/recognize"]["post"]
    assert operation["security"] == [{"bearer": []}, {"header": []}]
    assert {"401", "429"} <= operation["responses"].keys()
    assert description["paths"]["/health"]["get"]["security"] == []
    open_service = make_app(ServiceSettings(model=Path("none")), on_failure=print).openapi()
    assert "securitySchemes" not in open_service["components"]
    assert not {"401", "429"} & open_service["paths"]["/recognize"]["post"]["responses"].keys()
