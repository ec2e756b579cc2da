"""API keys: the file, and what a request has to send."""

import base64
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.serve.http.access.access import Access
from latexify.serve.http.access.keys import read_keys
from tests.support.http_access import client_of

KEYS = ("a-key-of-some-length", "another-key-of-others")


def test_a_file_has_a_key_a_line(tmp_path: Path) -> None:
    """With comments, so that one knows whose it is."""
    file = tmp_path / "keys"
    file.write_text(f"# Ada's\n{KEYS[0]}\n\n  {KEYS[1]}  \n", encoding="utf-8")
    assert read_keys(file) == KEYS


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "has no key"),
        (b"# none\n", "has no key"),
        (b"short\n", "line 1: a key has at least 16"),
        (f"{KEYS[0]}\nwith spaces and so on\n".encode(), "line 2"),
        ("schlüssel-schlüssel".encode(), "ASCII"),
        (b"\xff\xfe\x00", "is no text"),
        (None, "cannot be read"),
    ],
)
def test_a_file_without_good_keys_is_refused(content: bytes | None, words: str, tmp_path: Path) -> None:
    """A service that starts with no key, or one that can be guessed, is open without anybody knowing it."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(LatexifyError, match=words):
        read_keys(file)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": f"Bearer {KEYS[0]}"}, 200),
        ({"authorization": f"bearer {KEYS[1]}"}, 200),
        ({"x-api-key": KEYS[1]}, 200),
        ({"authorization": "Basic " + base64.b64encode(f"any:{KEYS[0]}".encode()).decode()}, 200),
        ({"authorization": "Basic ***"}, 401),
        ({"authorization": f"Bearer {KEYS[0]}x"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"x-api-key": "\xff"}, 401),
    ],
)
def test_a_request_needs_a_key(headers: dict[str, str], status: int) -> None:
    """As programs (Bearer, X-API-Key) and browsers (the password of Basic, for the page) send it; probes need none."""
    client = client_of(Access(keys=KEYS))
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = client.post("/recognize", headers=sent)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Basic")
        assert KEYS[0] not in answer.text
    assert client.get("/").status_code == 401
    assert client.get("/health").status_code == 200
