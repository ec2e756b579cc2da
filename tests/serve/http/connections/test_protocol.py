"""Connections of all kinds against a running service: too many, idle, busy, not reading, not HTTP."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import psutil
import pytest

from latexify.serve.http.connections.protocol import MAX_CONNECTIONS, MAX_ERROR_CHARS
from latexify.serve.http.limits import Limits
from tests.support.http_service import STROKES
from tests.support.service_process import Service, service, talk

CHUNKED = b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
HALF = b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[Service]:
    """A service that several tests share."""
    with service(model) as running:
        yield running


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Connections that are closed after the test."""
    with ExitStack() as stack:
        yield stack


def connect(service: Service, held: ExitStack, *, sent: bytes = b"") -> socket.socket:
    """Open a connection, and send something."""
    connection = held.enter_context(socket.create_connection(service.address, timeout=30))
    connection.sendall(sent)
    return connection


def error_of(answer: bytes) -> tuple[int, str]:
    """The status and the message of an error, which have to be the same in the head and in the JSON."""
    head, _, body = answer.partition(b"\r\n\r\n")
    content = json.loads(body)
    assert content["status"] == int(head.split()[1])
    assert b"content-type: application/json" in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    return content["status"], content["error"]


def test_idle_connections_are_closed_for_new_ones(running: Service, held: ExitStack) -> None:
    """Else 700 silent sockets would make a probe fail for seconds, and the cluster would kill the service."""
    first = connect(running, held, sent=b"GET /hea")
    for _ in range(MAX_CONNECTIONS + 60):
        connect(running, held)
    with httpx2.Client(base_url=running.url, timeout=30) as client:
        assert client.get("/health").status_code == 200
        assert client.post("/recognize", json=STROKES).status_code == 200
    assert first.recv(100) == b""  # the longest idle
    assert psutil.Process(running.process.pid).num_fds() < MAX_CONNECTIONS + 100


def refused_request(running: Service, client: httpx2.Client, held: ExitStack) -> httpx2.Response:
    """Take all requests by clients that send half a body, and send another.

    Half a body is given up after 10 s; where the machine is so busy that they are not all open by then, try again.
    """
    for _ in range(6):
        for _ in range(Limits().max_requests):
            connect(running, held, sent=HALF)
        answer = client.post("/recognize", json=STROKES)
        if answer.status_code == 503:
            return answer
    raise AssertionError(answer.text)


def test_a_probe_is_answered_when_all_requests_are_taken(running: Service, held: ExitStack) -> None:
    """All others get JSON with Retry-After at once. 512 clients send half a body and wait, others open connections."""
    with httpx2.Client(base_url=running.url, timeout=30) as client:
        refused = refused_request(running, client, held)
        for _ in range(200):
            connect(running, held)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"error": "512 requests are in progress: try again in a second", "status": 503}
        assert [httpx2.get(running.url + path, timeout=30).status_code for path in ("/health", "/ready", "/ping")] == [
            200,
            200,
            200,
        ]
        held.close()
        deadline_s = time.monotonic() + 30
        while httpx2.post(f"{running.url}/recognize", json=STROKES, timeout=30).status_code != 200:
            assert time.monotonic() < deadline_s


@pytest.mark.parametrize(
    ("sent", "status", "problem"),
    [
        (b"\x16\x03\x01 not HTTP\r\n\r\n", 400, "illegal request line"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "Missing mandatory Host: header"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 70_000, 431, "Receive buffer too long"),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "chunked"),
        (
            b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n<>\r\n",
            400,
            "chunk header",
        ),
    ],
)
def test_what_is_not_http_gets_an_error_in_json(running: Service, sent: bytes, status: int, problem: str) -> None:
    """As every other error of the service, and then the connection is closed."""
    seen, text = error_of(talk(running.address, sent))
    assert seen == status
    assert text.startswith("the request is not valid HTTP/1.1: ")
    assert problem in text
    assert len(text) <= MAX_ERROR_CHARS


def test_an_error_after_the_answer_closes_the_connection(running: Service) -> None:
    """The body is refused by its head; what follows is no chunk. There must not be a second answer."""
    with socket.create_connection(running.address, timeout=10) as connection:
        connection.sendall(CHUNKED + b"Content-Encoding: gzip\r\n\r\n")
        answer = connection.recv(65536)
        connection.sendall(b"<>\r\n")
        while received := connection.recv(65536):
            answer += received
    assert answer.count(b"HTTP/1.1 ") == 1
    assert error_of(answer)[0] == 415


def send_forever(connection: socket.socket, sent: bytes) -> None:
    """Send without reading."""
    while True:
        connection.sendall(sent)


@pytest.mark.slow
def test_a_client_that_does_not_read_is_cut_off(running: Service) -> None:
    """It asks for more answers than the buffers hold; a request must not be in progress for good."""
    with socket.create_connection(running.address, timeout=60) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            send_forever(connection, asked * 100)
    with httpx2.Client(base_url=running.url) as client:
        assert client.get("/health").status_code == 200
