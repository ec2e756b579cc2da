"""`latexify serve` as a user starts it: a process, sockets, signals."""

import asyncio
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx2
import psutil
import pytest
from uvicorn.protocols.http import h11_impl

from benchmarks.serving.attacks import CROSS, KINDS, malformed, slow
from benchmarks.serving.hostile import besiege
from benchmarks.serving.load import WRK, load
from benchmarks.serving.processes import Server
from latexify.common.errors import LatexifyError
from latexify.serve.http import server
from latexify.serve.http.connections import protocol
from latexify.serve.http.sockets import listen
from latexify.serve.http.worker import ServiceSettings
from tests.support.handwriting import encoded, ink, inkml, strokes
from tests.support.reading_models import export_folder, make_loaded
from tests.support.service_process import Service, service, talk

QUICK = {make: weight for make, weight in KINDS.items() if make is not slow}
STROKES = {"strokes": [stroke.tolist() for stroke in strokes()]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


@pytest.fixture(scope="module")
def running(model: Path) -> Iterator[Service]:
    """A service that several tests share."""
    with service(model) as running:
        yield running


def test_many_clients_get_the_same_answers_as_one(running: Service) -> None:
    """Images, files, strokes and invalid requests are mixed, sixteen at a time."""
    photo = encoded(200 * ink() + 20, "JPEG")
    with httpx2.Client(base_url=running.url, timeout=60) as client:
        expected = {
            "strokes": client.post("/recognize", json=STROKES).json()["latex"],
            "photo": client.post("/recognize", content=photo).json()["latex"],
        }

        def ask(number: int) -> tuple[int, bool]:
            kind = ("strokes", "inkml", "photo", "nonsense")[number % 4]
            if kind == "strokes":
                answer = client.post("/recognize", json=STROKES)
            else:
                content = {"inkml": inkml(), "photo": photo, "nonsense": b"\x01" * 100}[kind]
                answer = client.post("/recognize", content=content)
            is_right = answer.json().get("latex") == expected.get("strokes" if kind == "inkml" else kind)
            return answer.status_code, is_right

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(64)))
    assert answers == [(415 if number % 4 == 3 else 200, True) for number in range(64)]


def flood(connection: socket.socket) -> None:
    """Send four gigabytes in chunks."""
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    for _ in range(4_000_000_000 // len(chunk)):
        connection.sendall(chunk)


def test_a_chunked_flood_is_refused_and_cut_off(running: Service) -> None:
    """The client never stops sending: it gets an answer, then the connection is closed."""
    with socket.create_connection(running.address, timeout=30) as connection:
        connection.sendall(b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):
            flood(connection)
    with httpx2.Client(base_url=running.url) as client:
        assert client.post("/recognize", json=STROKES).status_code == 200
        assert 'route="/recognize",status="413"' in client.get("/metrics").text


def test_no_client_can_keep_a_connection_open_forever(running: Service) -> None:
    """With a body refused by its head, an endless head, or silence: the number of connections is limited."""
    gigabyte = b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n"
    endless = b"POST /recognize HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    started_s = time.monotonic()
    with ThreadPoolExecutor(3) as pool:
        claimed, half, silent = pool.map(lambda sent: talk(running.address, sent), (gigabyte, endless, b""))
    assert time.monotonic() - started_s < 10
    assert claimed.startswith(b"HTTP/1.1 413 ")
    assert (half, silent) == (b"", b"")
    assert talk(running.address, b"\x16\x03\x01 not HTTP\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_sigterm_finishes_the_requests_in_progress(model: Path) -> None:
    """A rolling update must not lose an answer: exit code 0, and no new connection is accepted meanwhile."""
    with service(model) as running, httpx2.Client(base_url=running.url, timeout=60) as client:
        statuses: list[int] = []
        content = [STROKES] * 32
        asking = threading.Thread(
            target=lambda: statuses.append(client.post("/recognize?beams=3", json=content).status_code)
        )
        asking.start()
        with httpx2.Client(base_url=running.url) as other:
            while "latexify_items_in_progress 32.0" not in other.get("/metrics").text:
                assert asking.is_alive()
        assert running.stop() == 0
        asking.join()
        assert statuses == [200]
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{running.url}/health")


def test_a_failure_to_start_is_one_line(model: Path, tmp_path: Path, running: Service) -> None:
    """The command line prints it and exits with 1 if the model is missing or the port is taken."""
    lines: list[str] = []
    host, port = running.address
    with pytest.raises(LatexifyError, match="choose another --host or --port"):
        server.run(ServiceSettings(model=model, device="cpu"), host=host, port=port, announce=lines.append)
    assert not lines
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(LatexifyError, match="latexify train"):
        server.run(ServiceSettings(model=tmp_path, device="cpu"), host=host, port=0, announce=lines.append)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_service_starts_without_uvicorns_private_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new release of uvicorn may move it: the user is told what is missing, and uvicorn's own protocol runs."""
    lines: list[str] = []
    assert server.choose_protocol(lines.append) is protocol.LimitedH11Protocol
    assert not lines
    monkeypatch.delitem(sys.modules, protocol.__name__)
    monkeypatch.delattr(h11_impl, "H11Protocol")
    assert server.choose_protocol(lines.append) == "auto"
    (line,) = lines
    assert line.startswith("no limits for slow clients")
    assert "H11Protocol" in line


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Nagle's algorithm and the client's delayed acknowledgements together cost 40 ms a request."""
    with listen("127.0.0.1", 0) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.fixture
def target(running: Service) -> Server:
    """The service as the benchmarks see it."""
    return Server(url=running.url, port=running.address[1], process=psutil.Process(running.process.pid))


@pytest.mark.skipif(shutil.which(WRK) is None, reason="wrk is not installed: apt-get install wrk")
def test_the_load_benchmark_counts_answers_and_errors(target: Server) -> None:
    """A benchmark that fails, or counts refusals as answers, would mislead."""
    seen = load(target, [CROSS] * 3, num_clients=3, seconds=1, warming_s=1)
    assert seen.num_errors == 0
    assert seen.num_answers > 3
    assert 0 < seen.p50_ms <= seen.p95_ms < 5000
    assert 0 < seen.cpu_s < 3600
    refused = load(target, [b"{}"], num_clients=2, seconds=1, warming_s=1)
    assert refused.num_refused == refused.num_answers > 0
    assert refused.per_second == 0


def test_the_hostile_benchmark_sees_what_the_service_does(target: Server) -> None:
    """A benchmark that fails, or counts nothing as wrong, would mislead."""
    outcome = asyncio.run(besiege(target, num_requests=60, num_clients=8, seed=1, kinds=QUICK))
    assert sum(outcome.statuses.values()) == 60
    assert not outcome.wrong
    assert (len(outcome.good_s) > 0, outcome.num_good_failed) == (True, 0)
    never = {lambda rng: replace(malformed(rng), statuses=frozenset({200})): 1}
    assert sum(asyncio.run(besiege(target, num_requests=5, num_clients=1, seed=1, kinds=never)).wrong.values()) == 5
