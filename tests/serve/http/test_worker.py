"""The service under load: full queues, slow answers, and clients that send slowly, too much or leave."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from latexify.common.errors import LatexifyError
from latexify.serve.http.app import make_app
from latexify.serve.http.limits import Limits
from latexify.serve.http.worker import ServiceSettings
from latexify.serve.recognizer import Recognizer
from tests.support.http_service import STROKES, make_service, metric, wait_until


def test_a_full_queue_refuses_and_recovers(model: Path, gate: threading.Event) -> None:
    """With 503 and Retry-After before the body is read; the accepted requests get their answers."""
    with TestClient(make_service(model, max_queue=2)) as client:
        wait_until(lambda: client.get("/ready").status_code == 200)
        gate.clear()
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(client.post("/recognize", json=STROKES).status_code))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: metric(client, "latexify_items_in_progress") == 2)
        refused = client.post("/recognize", json=STROKES)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert client.get("/health").status_code == 200
        gate.set()
        for thread in threads:
            thread.join()
        assert statuses == [200, 200]
        assert client.post("/recognize", json=[STROKES] * 3).status_code == 413  # larger than the queue
        assert client.post("/recognize", json=[STROKES] * 2).status_code == 200


def test_an_answer_that_takes_too_long_is_cancelled(model: Path, gate: threading.Event) -> None:
    """The client gets 504, and the slot is free again."""
    limits = Limits(answer_timeout_s=0.1)
    with TestClient(make_service(model, max_queue=1, limits=limits)) as client:
        wait_until(lambda: client.get("/ready").status_code == 200)
        gate.clear()
        assert client.post("/recognize", json=STROKES).status_code == 504
        assert metric(client, "latexify_items_in_progress") == 0
        gate.set()


def test_the_service_is_alive_before_it_is_ready(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster must neither kill the service while it loads its model, nor send it requests."""
    gate = threading.Event()
    init = Recognizer.__init__
    monkeypatch.setattr(Recognizer, "__init__", lambda *a, **k: (gate.wait(timeout=10), init(*a, **k))[1])
    with TestClient(make_service(model)) as client:
        assert client.get("/health").status_code == 200
        for answer in (client.get("/ready"), client.get("/ping"), client.post("/recognize", json=STROKES)):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        gate.set()
        wait_until(lambda: client.get("/ready").status_code == 200)
        assert client.post("/recognize", json=STROKES).status_code == 200


def test_a_missing_model_is_reported(tmp_path: Path) -> None:
    """A service that can never be ready must not keep running."""
    failures: list[BaseException] = []
    with TestClient(make_app(ServiceSettings(model=tmp_path), on_failure=failures.append)):
        wait_until(lambda: bool(failures))
    assert isinstance(failures[0], LatexifyError)


Message = MutableMapping[str, Any]


class RawRequest:
    """One request at the level of ASGI: the pieces of a body in turn, then a wait for `then`."""

    def __init__(self, pieces: Sequence[bytes], *, is_whole: bool, then: Callable[[], Any]) -> None:
        self.asked = 0
        self.status = 0
        self.body = b""
        self._pieces = pieces
        self._is_whole = is_whole
        self._then = then

    async def receive(self) -> Message:
        if self.asked == len(self._pieces):
            await self._then()
            return {"type": "http.disconnect"}
        self.asked += 1
        is_last = self._is_whole and self.asked == len(self._pieces)
        return {"type": "http.request", "body": self._pieces[self.asked - 1], "more_body": not is_last}

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")

    async def post(self, app: FastAPI) -> "RawRequest":
        """Send the request."""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/recognize", "raw_path": b"/recognize", "root_path": "", "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
        }  # fmt: skip
        await app(scope, self.receive, self.send)
        return self


@asynccontextmanager
async def running(model: Path, **options: Any) -> AsyncIterator[FastAPI]:
    """A service that is ready, in this event loop."""
    app = make_service(model, **options)
    async with app.router.lifespan_context(app):
        async with asyncio.timeout(10):
            body = [json.dumps(STROKES).encode()]
            while (await RawRequest(body, is_whole=True, then=forever).post(app)).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        yield app


async def forever() -> None:
    """Send nothing more, and stay connected."""
    await asyncio.Event().wait()


def test_a_chunked_body_is_cut_at_the_limit(model: Path) -> None:
    """There is no Content-Length to refuse: at most one chunk more than the limit is received."""

    async def play() -> None:
        async with running(model, limits=Limits(max_body_bytes=10_000)) as app:
            request = await RawRequest([bytes(1000)] * 1000, is_whole=False, then=forever).post(app)
            assert (request.status, request.asked) == (413, 11)

    asyncio.run(play())


def test_a_body_that_does_not_arrive_is_refused(model: Path) -> None:
    """With 408; slow clients must not block the service."""

    async def play() -> None:
        async with running(model, limits=Limits(body_timeout_s=0.05)) as app:
            request = await RawRequest([b"{"], is_whole=False, then=forever).post(app)
            assert request.status == 408
            assert b"0.05 s" in request.body

    asyncio.run(play())


def test_bodies_of_all_clients_together_have_a_limit(model: Path) -> None:
    """A thousand large uploads at once must not take all memory."""

    async def play() -> None:
        async with running(model, limits=Limits(max_held_bytes=15_000)) as app:
            go = asyncio.Event()
            held = asyncio.create_task(RawRequest([bytes(10_000)], is_whole=False, then=go.wait).post(app))
            await asyncio.sleep(0.01)
            assert (await RawRequest([bytes(10_000)], is_whole=True, then=forever).post(app)).status == 503
            go.set()
            assert (await held).status == 499
            assert (await RawRequest([bytes(10_000)], is_whole=True, then=forever).post(app)).status == 400

    asyncio.run(play())


def test_a_client_that_disconnects_frees_its_slot(model: Path, gate: threading.Event) -> None:
    """At once, and not only when its answer would have been ready."""

    async def play() -> None:
        async with running(model, max_queue=1) as app:
            gate.clear()
            leave = asyncio.Event()
            body = [json.dumps(STROKES).encode()]
            leaving = asyncio.create_task(RawRequest(body, is_whole=True, then=leave.wait).post(app))
            await asyncio.sleep(0.1)
            assert (await RawRequest(body, is_whole=True, then=forever).post(app)).status == 503
            leave.set()
            assert (await leaving).status == 499
            staying = asyncio.create_task(RawRequest(body, is_whole=True, then=forever).post(app))
            await asyncio.sleep(0.05)
            gate.set()
            assert (await staying).status == 200

    asyncio.run(play())
