"""The demo without a browser: what its page shows, its recognition, examples and access control."""

import asyncio
import base64
import json
import re
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from streamlit import config
from streamlit.testing.v1 import AppTest

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import MANIFEST_NAME
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import draw_ink
from latexify.pipeline.inks.ink import Ink
from latexify.pipeline.inks.table import ink_table
from latexify.pipeline.latex import normalize
from latexify.serve.demo import widgets
from latexify.serve.demo.examples import MAX_TOKENS, find_examples
from latexify.serve.demo.inference import DemoFailure, DemoResult, SharedRecognizer
from latexify.serve.demo.page import BEAMS
from latexify.serve.demo.server import POLICY, SCRIPT, SameOriginOnly, options, run
from latexify.serve.demo.state import DemoSettings, shared_recognizer
from latexify.serve.http.requests import RequestItem
from latexify.serve.recognizer import Recognizer
from latexify.shards.format.png import decode_png
from tests.support.handwriting import CANVAS, encoded, ink, inkml, strokes
from tests.support.reading_models import export_folder, make_loaded

WRITTEN = json.dumps({"strokes": [stroke.tolist() for stroke in strokes()]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


@pytest.fixture(scope="module")
def settings(model: Path) -> DemoSettings:
    """Settings of a demo without inks."""
    return DemoSettings(model=model, device="cpu", runtime=None, threads=1, inks=str(model / "no-inks"))


@pytest.fixture(scope="module")
def shared(settings: DemoSettings) -> SharedRecognizer:
    """The loaded model."""
    return shared_recognizer(settings)


@pytest.fixture(autouse=True)
def _own_main() -> Iterator[None]:
    """Restore the main module, which Streamlit replaces when it runs the page.

    Child processes of later tests would otherwise run the page as their main module.
    """
    with pytest.MonkeyPatch.context() as modules:
        modules.setitem(sys.modules, "__main__", sys.modules["__main__"])
        yield


@pytest.fixture
def page(settings: DemoSettings) -> AppTest:
    """The page as a visitor first sees it."""
    test = AppTest.from_file(SCRIPT, default_timeout=60)
    test.secrets["latexify"] = settings.to_mapping()
    return test.run()


def widget_data(page: AppTest) -> list[Mapping[str, Any]]:
    """Data of the page's own widgets, in their order."""
    return [json.loads(widget.proto.json) for widget in page.get("bidi_component")]


def picture_size(url: str) -> tuple[int, ...]:
    """Height and width of an embedded picture."""
    return decode_png(base64.b64decode(url.removeprefix("data:image/png;base64,"))).shape


def test_a_visitor_finds_a_sheet_and_examples(page: AppTest) -> None:
    """On the first visit nothing failed and everything is there."""
    assert not page.exception
    assert not page.error
    (sheet,) = widget_data(page)
    assert len(sheet["examples"]) == 12
    assert all(example["label"] and example["strokes"] for example in sheet["examples"])
    assert [tab.label for tab in page.tabs] == ["Write", "Images and InkML"]
    assert (page.slider[0].min, page.slider[0].max, page.slider[0].value) == (1, 8, BEAMS)
    assert "8 MB" in page.get("file_uploader")[0].label


def test_files_are_recognised_independently(page: AppTest, model: Path) -> None:
    """A broken photo among good ones gets a line with its name, and does not affect the others."""
    files = {
        "ink_1*.inkml": inkml(),
        "cut.png": encoded(255 - 255 * ink())[:600],
        "text.jpg": b"no image",
        "photo.jpg": encoded(200 * ink() + 20, "JPEG"),
    }
    page.get("file_uploader")[0].set_value([(name, data, "") for name, data in files.items()]).run()
    assert not page.exception
    results = [data for data in widget_data(page) if "candidates" in data]
    recognizer = Recognizer(model, device="cpu")
    pictures = [recognizer.picture_of(files[name]) for name in ("ink_1*.inkml", "photo.jpg")]
    expected = recognizer.read(pictures, num_beams=BEAMS)
    assert [data["candidates"][0]["latex"] for data in results] == [best.latex for best in expected]
    assert [len(data["candidates"]) for data in results] == [1 + len(best.alternatives) for best in expected]
    sizes = [picture_size(data["picture"]["url"]) for data in results]
    assert sizes == [picture.shape for picture in pictures]
    complaints = [error.value for error in page.error]
    assert [complaint.partition("**:")[0] for complaint in complaints] == [r"**cut\.png", r"**text\.jpg"]
    assert r"**ink\_1\*\.inkml**" in [line.value for line in page.markdown]


def test_a_larger_beam_finds_more_candidates(page: AppTest) -> None:
    """As the slider's help says."""
    page.get("file_uploader")[0].set_value([("a.inkml", inkml(), "")]).run()
    counts = []
    for num_beams in (1, 8):
        page.slider[0].set_value(num_beams).run()
        counts.append(len(widget_data(page)[-1]["candidates"]))
    assert counts[0] == 1 < counts[1]


def test_too_many_files_are_cut_off(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor who drops a folder of a thousand photos must not block all others."""
    shared = shared_recognizer(DemoSettings.from_mapping(page.secrets["latexify"]))
    monkeypatch.setattr(shared, "limits", replace(shared.limits, max_items=2))
    page.get("file_uploader")[0].set_value([(f"{number}.inkml", inkml(), "") for number in range(3)]).run()
    assert len([data for data in widget_data(page) if "candidates" in data]) == 2
    assert "first 2" in page.warning[0].value


def test_the_sheet_is_recognised_like_its_strokes(shared: SharedRecognizer, model: Path) -> None:
    """The same ink must give the same formula from the browser and from Python."""
    result = shared.read_ink(WRITTEN, num_beams=3)
    assert isinstance(result, DemoResult)
    recognizer = Recognizer(model, device="cpu")
    assert np.array_equal(result.picture, recognizer.draw(strokes()))
    expected = recognizer.read([result.picture], num_beams=3)[0]
    assert (result.recognition.latex, result.recognition.alternatives) == (expected.latex, expected.alternatives)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("", "not JSON"),
        ("[]", "neither an object"),
        ('{"strokes": [[[1, NaN]]]}', "NaN"),
        ('{"strokes": [[["a", 1]]]}', "stroke 0"),
        ('{"strokes": "x"}', "strokes"),
        ('{"strokes": [[]]}', "nothing to draw"),
        (json.dumps({"strokes": [[[0, 0]]] * 3000}), "3000 strokes"),
        ("\udc80", "JSON"),
        (" " * 3_000_000, "too much ink"),
    ],
)
def test_any_message_of_a_browser_gets_an_answer(shared: SharedRecognizer, sent: str, reason: str) -> None:
    """Other programs than the page's script can send messages too."""
    failure = shared.read_ink(sent, num_beams=1)
    assert isinstance(failure, DemoFailure)
    assert re.search(reason, failure.reason)
    assert "\n" not in failure.reason


def test_a_file_that_is_too_large_is_refused(shared: SharedRecognizer) -> None:
    """Streamlit's limit is in mebibytes; the service's limit still applies."""
    failure = shared.read_file(b"\x89PNG" + bytes(shared.limits.max_body_bytes), num_beams=1)
    assert isinstance(failure, DemoFailure)
    assert "8 MB" in failure.reason


def test_simultaneous_visitors_get_their_own_answers(shared: SharedRecognizer) -> None:
    """Answers must not get mixed up."""
    generator = np.random.default_rng(4)
    inks = [
        [generator.random((6, 2)).astype(np.float32), generator.random((4, 2)).astype(np.float32) + 1]
        for _ in range(12)
    ]
    alone = [shared.read(RequestItem(strokes=ink), num_beams=2) for ink in inks]
    with ThreadPoolExecutor(6) as visitors:
        together = list(visitors.map(lambda ink: shared.read(RequestItem(strokes=ink), num_beams=2), inks))
    for one, other in zip(alone, together, strict=True):
        assert isinstance(one, DemoResult)
        assert isinstance(other, DemoResult)
        assert np.array_equal(one.picture, other.picture)
        assert one.recognition.latex == other.recognition.latex


def test_the_model_is_loaded_once(settings: DemoSettings, shared: SharedRecognizer) -> None:
    """Half a gigabyte for each visitor would soon fill the memory."""
    assert shared_recognizer(DemoSettings.from_mapping(settings.to_mapping())) is shared


@pytest.mark.parametrize("ink", [None, 3, "x", {}, {"json": 3}, {"json": '{"strokes":[]}', "example": "a"}])
def test_an_empty_sheet_is_not_an_ink(monkeypatch: pytest.MonkeyPatch, ink: object) -> None:
    """Nor is anything else that the page's script would not send."""
    renderer = lambda *_, **__: lambda **_: SimpleNamespace(ink=ink)  # noqa: E731  # one line
    monkeypatch.setattr(widgets.st.components.v2, "component", renderer)
    assert widgets.sheet([]) is None


def inks_folder(folder: Path, rows: list[Ink]) -> Path:
    """Make a folder like the ingest stage."""
    folder.mkdir()
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        pq.write_table(ink_table(part), folder / f"part-{number:05d}.parquet")
    content = {"parts": [{"name": "part-00000.parquet"}, {"name": "part-00001.parquet"}]}
    write_manifest(folder, Manifest(kind="inks", version=1, params={}, inputs={}, content=content))
    return folder


def row(number: int, *, split: str, label: str) -> Ink:
    """Make an ink with a unique first point."""
    drawn = [np.array([[number, 0], [5, 5]], np.float32), np.array([[1, 1]], np.float32)]
    return Ink(
        key=f"{split}/{number}",
        split=split,
        label=label,
        normalized_label=label,
        strokes=drawn,
        writer=None,
        source="a",
    )


def test_examples_are_test_inks_of_all_lengths(tmp_path: Path) -> None:
    """Training inks would make the model look too good; similar ones would be dull."""
    tests = [row(number, split="test", label="x" + "+1" * (number % 10)) for number in range(40)]
    long = row(90, split="test", label="x" * (MAX_TOKENS + 1))
    folder = inks_folder(tmp_path / "inks", [*tests, row(91, split="train", label="y+y"), long])
    examples = find_examples(folder, count=5)
    assert len(examples) == 5
    by_key = {ink.key: ink for ink in tests}
    for example in examples:
        assert example.label == by_key[example.key].label
        assert np.array_equal(example.strokes[0], by_key[example.key].strokes[0])
    lengths = [len(example.label) for example in examples]
    assert lengths == sorted(set(lengths))
    assert [example.key for example in find_examples(folder, count=5)] == [example.key for example in examples]
    assert len(find_examples(folder, count=50)) == 9  # labels of one symbol are left out, and each label comes once


def test_without_test_inks_examples_are_generated(tmp_path: Path) -> None:
    """A fresh clone has no data; nor has a published model."""
    folder = inks_folder(tmp_path / "inks", [row(1, split="train", label="y+y"), row(2, split="valid", label="y")])
    nowhere, nothing = find_examples(tmp_path / "gone", count=6), find_examples(folder, count=6)
    assert [example.key for example in nowhere] == [example.key for example in nothing]
    assert len(nowhere) == 6
    for example in nowhere:
        assert normalize(example.label) == example.label
        assert draw_ink(example.strokes, CANVAS).min() == 0


def test_damaged_inks_are_reported_before_anything_is_served(settings: DemoSettings, tmp_path: Path) -> None:
    """With one line at the start, instead of a page that fails for every visitor."""
    (tmp_path / MANIFEST_NAME).write_text("{")
    announced: list[str] = []
    damaged = DemoSettings.from_mapping({**settings.to_mapping(), "inks": str(tmp_path)})
    gone = DemoSettings.from_mapping({**settings.to_mapping(), "model": str(tmp_path / "gone")})
    for wrong, remedy in ((damaged, "latexify ingest"), (gone, "latexify train")):
        with pytest.raises(LatexifyError, match=remedy):
            run(wrong, host="127.0.0.1", port=0, open_browser=False, announce=announced.append)
    assert not announced


def ask(*, kind: str = "http", **headers: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the requests that reached the application, and the messages that the client got."""
    asked: list[dict[str, Any]] = []
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        asked.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, str]:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": "GET",
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    asyncio.run(SameOriginOnly(app)(scope, receive, send))
    return asked, sent


def test_pages_of_other_origins_are_refused() -> None:
    """Any page in the same browser could otherwise send requests, and Streamlit would look its address up online."""
    for kind in ("http", "websocket"):
        asked, sent = ask(kind=kind, host="box:8501", origin="http://elsewhere")
        assert not asked
        assert sent[0].get("status", sent[0].get("code")) in {403, 1008}
    for headers in ({"host": "box:8501"}, {"host": "box:8501", "origin": "https://box:8501"}):
        asked, sent = ask(**headers)
        assert [name for name, _ in asked[0]["headers"]] == [b"host"]
        assert dict(sent[0]["headers"])[b"content-security-policy"] == POLICY.encode()


def test_streamlit_sends_no_data_to_others() -> None:
    """Usage statistics, error links and an interface for agents are on by default."""
    chosen = options()
    assert chosen["browser.gatherUsageStats"] is False
    assert chosen["client.showErrorDetails"] == "none"
    assert chosen["server.enableAgentApi"] is False
    assert set(chosen) <= set(config.get_config_options())
