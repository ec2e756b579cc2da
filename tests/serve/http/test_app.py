"""The HTTP service in this process: every route, every format and every error message."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from latexify.serve.http.app import ROUTES
from latexify.serve.http.routes.page import PAGE_FILES
from latexify.serve.recognizer import Recognition, Recognizer
from tests.support.handwriting import encoded, ink, inkml, png_without_pixels, strokes
from tests.support.http_service import STROKES, make_service, metric, wait_until

PHOTO = encoded(200 * ink() + 20, "JPEG")
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def client(model: Path) -> Iterator[TestClient]:
    """A service that is ready, with the default limits."""
    with TestClient(make_service(model), raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/ready").status_code == 200)
        yield client


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
    elements = [{"type": "freedraw", "x": 0, "y": 0, "points": stroke.tolist()} for stroke in strokes()]
    drawing = {"type": "excalidraw", "elements": [*elements, {"type": "text"}]}
    for answer in (client.post("/recognize", json=drawing), client.post("/recognize", content=json.dumps(drawing))):
        assert (answer.json()["latex"], answer.json()["left_out"]) == (expected.latex, {"text": 1})
    photo = recognizer.read([recognizer.picture_of(PHOTO)])[0]
    for answer in (
        client.post("/recognize", content=PHOTO, headers={"content-type": "image/jpeg"}),
        client.post("/recognize", json={"image": base64.b64encode(PHOTO).decode()}),
    ):
        assert answer.json()["latex"] == photo.latex


def test_the_symbols_of_an_answer_can_be_limited(client: TestClient) -> None:
    """A form field for numbers wants digits alone; a symbol that the model does not know is one line."""
    answer = client.post("/recognize", params={"only": "x 2", "beams": 2}, json=STROKES)
    assert answer.status_code == 200
    readings = [answer.json(), *answer.json()["alternatives"]]
    assert all(set(reading["latex"]) <= set("x2") for reading in readings)
    several = client.post("/recognize", params={"only": "x 2"}, json=[STROKES, {"inkml": inkml().decode()}]).json()
    assert all(set(result["latex"]) <= set("x2") for result in several["results"])
    unknown = client.post("/recognize", params={"only": "x fract"}, json=STROKES)
    assert unknown.status_code == 422
    assert unknown.json()["error"].startswith("only: the model cannot write a (nothing is like it), c")
    too_long = client.post("/recognize", params={"only": "x" * 2_001}, json=STROKES)
    assert too_long.status_code == 422
    assert "query.only" in too_long.json()["error"]


def test_formats_are_sent_on_request(client: TestClient, model: Path) -> None:
    """One request gives the LaTeX that is compared and the form that is shown."""
    recognizer = Recognizer(model, device="cpu")
    expected = recognizer.read([recognizer.draw(strokes())])[0]
    wanted = {"pretty": expected.to_format("pretty"), "typst": expected.to_format("typst")}
    answer = client.post("/recognize?formats=pretty&formats=typst", json=STROKES).json()
    assert (answer["latex"], answer["formats"]) == (expected.latex, wanted)
    several = client.post("/recognize?formats=pretty&formats=typst", json=[STROKES, STROKES]).json()["results"]
    assert [one["formats"] for one in several] == [wanted, wanted]
    refused = client.post("/recognize?formats=word", json=STROKES)
    assert refused.status_code == 422
    assert "'latex', 'pretty', 'display', 'mathml' or 'typst'" in refused.json()["error"]


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


def test_a_batch_is_always_answered_by_a_list(client: TestClient) -> None:
    """Clients that are typed need one form of answer a route; SageMaker's lines are answered by lines."""
    alone = client.post("/recognize", json=STROKES).json()
    for content in ({"items": [STROKES]}, [STROKES], STROKES):
        assert client.post("/recognize/batch", json=content).json() == {"results": [alone]}
    line = json.dumps(STROKES)
    for path in ("/invocations", "/recognize/batch"):
        answer = client.post(path, content=f"{line}\nno\n{line}\n", headers={"content-type": "application/jsonlines"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonlines")
        first, bad, last = map(json.loads, answer.text.splitlines())
        assert first == last == alone
        assert (bad["status"], "not JSON" in bad["error"]) == (400, True)
    settings = client.get("/execution-parameters").json()
    assert settings == {"MaxConcurrentTransforms": 16, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6}
    assert settings["MaxConcurrentTransforms"] * settings["MaxPayloadInMB"] <= 100  # SageMaker refuses more


def test_coordinates_that_overflow_are_refused(client: TestClient) -> None:
    """The schema says so, too."""
    answer = client.post("/recognize", json={"strokes": [[[0, 0], [1, 2e30]]]})
    assert (answer.status_code, "beyond 1e+30" in answer.json()["error"]) == (422, True)


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
    assert {"/recognize", "/recognize/batch", "/health", "/ready", "/metrics"} == set(paths) < ROUTES
    for example in paths["/recognize"]["post"]["requestBody"]["content"]["application/json"]["examples"].values():
        assert client.post("/recognize", json=example["value"]).status_code == 200


def test_the_page_uses_routes_that_exist(client: TestClient) -> None:
    """The page's addresses must exist, and it must not load anything from other servers."""
    page, script = client.get("/"), client.get("/page.js")
    assert page.headers["content-type"].startswith("text/html")
    assert script.headers["content-type"].startswith("text/javascript")
    assert 'src="/page.js"' in page.text
    assert "/recognize?${QUALITIES" in script.text
    for name in PAGE_FILES:
        assert f'"/{name}"' in page.text
        assert client.get(f"/{name}").status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "//" not in page.text.replace("<!-- -->", "")
