"""The HTTP service in this process: every route, every limit and every error message."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from latexify.common.errors import LatexifyError
from latexify.serve.http.app import ROUTES, make_app
from latexify.serve.http.limits import Limits
from latexify.serve.http.worker import ServiceSettings
from latexify.serve.recognizer import Picture, Recognition, Recognizer
from tests.support.handwriting import encoded, ink, inkml, png_without_pixels, strokes
from tests.support.reading_models import export_folder, make_loaded

PHOTO = encoded(200 * ink() + 20, "JPEG")
JSON = {"content-type": "application/json"}
STROKES = {"strokes": [stroke.tolist() for stroke in strokes()]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


def make(model: Path, **options: Any) -> FastAPI:
    """The service; a model that cannot be loaded fails the test."""

    def fail(error: BaseException) -> None:
        raise AssertionError(error)

    return make_app(ServiceSettings(model=model, device="cpu", **options), on_failure=fail)


def wait_until(condition: Callable[[], bool]) -> None:
    """For at most ten seconds."""
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.fixture(scope="module")
def client(model: Path) -> Iterator[TestClient]:
    """A service that is ready, with the default limits."""
    with TestClient(make(model), raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/ready").status_code == 200)
        yield client


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The model reads only while the gate is open."""
    gate, read = threading.Event(), Recognizer.read

    def wait_and_read(self: Recognizer, pictures: Sequence[Picture], *, num_beams: int = 1) -> list[Recognition]:
        gate.wait(timeout=10)
        return read(self, pictures, num_beams=num_beams)

    gate.set()
    monkeypatch.setattr(Recognizer, "read", wait_and_read)
    yield gate
    gate.set()


def metric(client: TestClient, name: str, **labels: str) -> float:
    """A value from /metrics; 0 if it was not counted yet."""
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return 0


def test_the_same_ink_reads_the_same_in_every_form(client: TestClient, model: Path) -> None:
    """And the same as with `latexify recognize`."""
    recognizer = Recognizer(model, device="cpu")
    expected = recognizer.read([recognizer.draw(strokes())])[0]
    sent = [
        client.post("/recognize", json=STROKES),
        client.post("/recognize", content=inkml(), headers={"content-type": "application/inkml+xml"}),
        client.post("/recognize", content=inkml()),
        client.post("/invocations", json={"inkml": inkml().decode()}),
    ]
    for answer in sent:
        assert answer.status_code == 200
        assert answer.json() == {
            "latex": expected.latex,
            "confidence": pytest.approx(expected.confidence, abs=1e-3),
            "calibrated": False,
            "alternatives": [],
        }
    photo = recognizer.read([recognizer.picture_of(PHOTO)])[0]
    for answer in (
        client.post("/recognize", content=PHOTO, headers={"content-type": "image/jpeg"}),
        client.post("/recognize", json={"image": base64.b64encode(PHOTO).decode()}),
    ):
        assert answer.json()["latex"] == photo.latex


def test_a_list_is_answered_in_order_and_a_bad_item_does_not_affect_the_others(client: TestClient) -> None:
    """For forms of files and for JSON, with more items than one batch holds."""
    alone = client.post("/recognize?beams=3", json=STROKES).json()
    files = [("file", inkml()), ("file", b"no image"), ("other", PHOTO), ("file", encoded(np.full((80, 90), 255.0)))]
    answer = client.post("/recognize?beams=3", files=files)
    assert answer.status_code == 200
    first, bad, _, blank = answer.json()["results"]
    assert (first["latex"], len(first["alternatives"])) == (alone["latex"], len(alone["alternatives"]))
    assert (bad["status"], blank["status"]) == (415, 422)
    assert "blank" in blank["error"]
    content = [STROKES, {"strokes": [[[0, 0], [1, 1e300]]]}, {"strokes": []}] + [STROKES] * 25
    results = client.post("/recognize?beams=3", json=content).json()["results"]
    assert [result.get("status", 200) for result in results] == [200, 422, 422] + [200] * 25
    assert {result["latex"] for result in results[3:]} == {alone["latex"]}
    assert metric(client, "latexify_item_failures_total", status="422") >= 3


HOSTILE: list[tuple[str, dict[str, str], bytes, int, str]] = [
    ("empty", {}, b"", 400, "empty"),
    ("bomb", {}, png_without_pixels(30_000, 30_000), 413, "pixels"),
    ("larger than Pillow accepts", {}, png_without_pixels(10, 2**31 - 1), 413, "pixels"),
    ("cut off", {}, encoded(255 - 255 * ink())[:600], 422, "damaged"),
    (
        "a format that is not accepted",
        {},
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        415,
        "neither InkML",
    ),
    ("entities", {}, b'<!DOCTYPE ink [<!ENTITY a "b">]><ink>&a;</ink>', 422, "cannot be read"),
    ("not an ink", {}, b"<svg></svg>", 422, "cannot be read"),
    ("NaN", JSON, b'{"strokes": [[[NaN, 0], [1, 1]]]}', 422, "NaN"),
    ("infinite", JSON, b'{"strokes": [[[1e999, 0], [1, 1]]]}', 422, "finite"),
    ("nothing written", JSON, b'{"strokes": [[], []]}', 422, "nothing to draw"),
    ("JSON cut off", JSON, b'{"strokes": [[[0, 0]', 400, "not JSON"),
    ("compressed", {"content-encoding": "gzip"}, b"\x1f\x8b", 415, "compressed"),
    ("a claim", {"content-length": "1000000000"}, b"", 413, "larger"),
    ("a huge claim", {"content-length": "9" * 50}, b"", 413, "larger"),
    ("another type", {"content-type": "text/csv"}, b"1,2", 415, "content type text/csv"),
    ("too many strokes in InkML", {}, b"<ink>" + b"<trace>1 1</trace>" * 2001 + b"</ink>", 422, "2001 strokes"),
    ("InkML of 2 MB", {}, b"<ink>" + b" " * 2_000_000, 413, "bytes"),
]


@pytest.mark.parametrize(
    ("headers", "body", "status", "words"), [case[1:] for case in HOSTILE], ids=[c[0] for c in HOSTILE]
)
def test_hostile_requests_get_one_line_that_says_why(
    client: TestClient, headers: dict[str, str], body: bytes, status: int, words: str
) -> None:
    """With the right status, no stack trace and no resources leaked: the next request is answered."""
    answer = client.post("/recognize", content=body, headers=headers)
    assert answer.status_code == status
    problem = answer.json()
    assert problem.keys() == {"error", "status"}
    assert problem["status"] == status
    assert words in problem["error"]
    assert "\n" not in problem["error"]
    assert metric(client, "latexify_items_in_progress") == metric(client, "latexify_held_body_bytes") == 0
    assert client.post("/recognize", json=STROKES).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/recognize", 405),
        ("POST", "/recognize?beams=9", 422),
        ("POST", "/recognize?beams=x", 422),
        ("GET", "/no", 404),
    ],
)
def test_wrong_addresses_get_one_line_too(client: TestClient, method: str, path: str, status: int) -> None:
    """Clients need one form of error to parse."""
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_an_internal_error_is_not_shown_to_the_client(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stack trace leaves the server, and it keeps running."""

    def fail(*_: object, **__: object) -> list[Recognition]:
        raise RuntimeError("secret path")

    with monkeypatch.context() as patched:
        patched.setattr(Recognizer, "read", fail)
        answer = client.post("/recognize", json=STROKES)
    assert (answer.status_code, answer.json()["error"]) == (500, "internal error: see the server's log")
    assert client.post("/recognize", json=STROKES).status_code == 200


def test_states_metrics_and_description(client: TestClient) -> None:
    """The routes for a cluster, for Prometheus and for programmers."""
    before = metric(client, "latexify_requests_total", route="/recognize", status="200")
    client.post("/recognize", json=STROKES)
    assert metric(client, "latexify_requests_total", route="/recognize", status="200") == before + 1
    for path in ("/health", "/ready", "/ping"):
        assert client.get(path).status_code == 200
    client.get("/a/path/of/an/attacker")
    text = client.get("/metrics").text
    assert "attacker" not in text
    for name in ("latexify_request_seconds_bucket", "latexify_batch_size_bucket", "latexify_queue_length 0.0"):
        assert name in text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/recognize", "/health", "/ready", "/metrics"} == set(paths) < ROUTES
    for example in paths["/recognize"]["post"]["requestBody"]["content"]["application/json"]["examples"].values():
        assert client.post("/recognize", json=example["value"]).status_code == 200


def test_the_page_uses_routes_that_exist(client: TestClient) -> None:
    """The page's addresses must exist, and it must not load anything from other servers."""
    page, script = client.get("/"), client.get("/write.js")
    assert page.headers["content-type"].startswith("text/html")
    assert script.headers["content-type"].startswith("text/javascript")
    assert 'src="/write.js"' in page.text
    assert '"/recognize?beams=3"' in script.text
    assert "//" not in page.text.replace("<!-- -->", "")


def test_a_full_queue_refuses_and_recovers(model: Path, gate: threading.Event) -> None:
    """With 503 and Retry-After before the body is read; the accepted requests get their answers."""
    with TestClient(make(model, max_queue=2)) as client:
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
    with TestClient(make(model, max_queue=1, limits=limits)) as client:
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
    with TestClient(make(model)) as client:
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
    app = make(model, **options)
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
