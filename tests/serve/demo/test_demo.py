"""The demo's page without a browser: what it shows, what it reads, where its examples come from, who may ask it."""

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
from latexify.serve.demo import widgets as parts
from latexify.serve.demo.examples import MAX_TOKENS, find_examples
from latexify.serve.demo.inference import Seen, SharedReader, Unread
from latexify.serve.demo.page import BEAMS
from latexify.serve.demo.server import POLICY, SCRIPT, OwnPagesOnly, options, run
from latexify.serve.demo.state import DemoSettings, reader_of
from latexify.serve.http.items import Item
from latexify.serve.recognizer import Recognizer
from latexify.shards.format.png import decode_png
from tests.support.handwriting import CANVAS, encoded, ink, inkml, strokes
from tests.support.reading_models import export_folder, make_loaded

WRITTEN = json.dumps({"strokes": [stroke.tolist() for stroke in strokes()]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes something, if nothing sensible."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


@pytest.fixture(scope="module")
def settings(model: Path) -> DemoSettings:
    """Of a demo in a folder without inks."""
    return DemoSettings(model=model, device="cpu", engine=None, threads=1, inks=str(model / "no-inks"))


@pytest.fixture(scope="module")
def reader(settings: DemoSettings) -> SharedReader:
    """The model, loaded."""
    return reader_of(settings)


@pytest.fixture(autouse=True)
def _own_main() -> Iterator[None]:
    """Put back what Streamlit takes the place of when it runs the page.

    Later tests' child processes would take the page for their main module, and start by running it.
    """
    with pytest.MonkeyPatch.context() as modules:
        modules.setitem(sys.modules, "__main__", sys.modules["__main__"])
        yield


@pytest.fixture
def page(settings: DemoSettings) -> AppTest:
    """The page as a visitor finds it."""
    test = AppTest.from_file(SCRIPT, default_timeout=60)
    test.secrets["latexify"] = settings.to_mapping()
    return test.run()


def shown(page: AppTest) -> list[Mapping[str, Any]]:
    """What our own parts of the page were given, in their order."""
    return [json.loads(part.proto.json) for part in page.get("bidi_component")]


def picture_size(url: str) -> tuple[int, ...]:
    """Height and width of a picture that a page holds in itself."""
    return decode_png(base64.b64decode(url.removeprefix("data:image/png;base64,"))).shape


def test_a_visitor_finds_a_sheet_and_examples(page: AppTest) -> None:
    """The first sight: nothing to wait for, nothing that failed, everything within reach."""
    assert not page.exception
    assert not page.error
    (sheet,) = shown(page)
    assert len(sheet["examples"]) == 12
    assert all(example["label"] and example["strokes"] for example in sheet["examples"])
    assert [tab.label for tab in page.tabs] == ["Write", "Images and InkML"]
    assert (page.slider[0].min, page.slider[0].max, page.slider[0].value) == (1, 8, BEAMS)
    assert "8 MB" in page.get("file_uploader")[0].label


def test_files_are_read_each_by_itself(page: AppTest, model: Path) -> None:
    """A broken photo among good ones gets a line with its name, and costs the others nothing."""
    files = {
        "ink_1*.inkml": inkml(),
        "cut.png": encoded(255 - 255 * ink())[:600],
        "text.jpg": b"no image",
        "photo.jpg": encoded(200 * ink() + 20, "JPEG"),
    }
    page.get("file_uploader")[0].set_value([(name, data, "") for name, data in files.items()]).run()
    assert not page.exception
    found = [part for part in shown(page) if "readings" in part]
    recognizer = Recognizer(model, device="cpu")
    pictures = [recognizer.picture_of(files[name]) for name in ("ink_1*.inkml", "photo.jpg")]
    expected = recognizer.read(pictures, num_beams=BEAMS)
    assert [part["readings"][0]["latex"] for part in found] == [best.latex for best in expected]
    assert [len(part["readings"]) for part in found] == [1 + len(best.alternatives) for best in expected]
    sizes = [picture_size(part["picture"]["url"]) for part in found]
    assert sizes == [picture.shape for picture in pictures]
    complaints = [error.value for error in page.error]
    assert [complaint.partition("**:")[0] for complaint in complaints] == [r"**cut\.png", r"**text\.jpg"]
    assert r"**ink\_1\*\.inkml**" in [line.value for line in page.markdown]


def test_more_beams_find_more_readings(page: AppTest) -> None:
    """What the slider promises."""
    page.get("file_uploader")[0].set_value([("a.inkml", inkml(), "")]).run()
    counts = []
    for num_beams in (1, 8):
        page.slider[0].set_value(num_beams).run()
        counts.append(len(shown(page)[-1]["readings"]))
    assert counts[0] == 1 < counts[1]


def test_too_many_files_are_cut_off(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of a thousand photos dropped on the page would keep all other visitors waiting."""
    reader = reader_of(DemoSettings.from_mapping(page.secrets["latexify"]))
    monkeypatch.setattr(reader, "limits", replace(reader.limits, max_items=2))
    page.get("file_uploader")[0].set_value([(f"{number}.inkml", inkml(), "") for number in range(3)]).run()
    assert len([part for part in shown(page) if "readings" in part]) == 2
    assert "first 2" in page.warning[0].value


def test_the_sheet_is_read_as_its_strokes_are(reader: SharedReader, model: Path) -> None:
    """From the browser or from Python, the same ink is the same formula."""
    found = reader.read_ink(WRITTEN, num_beams=3)
    assert isinstance(found, Seen)
    recognizer = Recognizer(model, device="cpu")
    assert np.array_equal(found.picture, recognizer.draw(strokes()))
    expected = recognizer.read([found.picture], num_beams=3)[0]
    assert (found.recognition.latex, found.recognition.alternatives) == (expected.latex, expected.alternatives)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ("", "no JSON|not JSON|JSON"),
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
def test_whatever_a_browser_sends_is_an_answer(reader: SharedReader, sent: str, reason: str) -> None:
    """The page's script is not the only one that can talk to the server."""
    found = reader.read_ink(sent, num_beams=1)
    assert isinstance(found, Unread)
    assert re.search(reason, found.reason)
    assert "\n" not in found.reason


def test_a_file_that_is_too_large_is_not_looked_at(reader: SharedReader) -> None:
    """Streamlit counts megabytes of its own; the limit of the service holds all the same."""
    found = reader.read_file(b"\x89PNG" + bytes(reader.limits.max_body_bytes), num_beams=1)
    assert isinstance(found, Unread)
    assert "8 MB" in found.reason


def test_visitors_at_the_same_time_do_not_mix(reader: SharedReader) -> None:
    """Each gets the answer to what he wrote."""
    generator = np.random.default_rng(4)
    inks = [
        [generator.random((6, 2)).astype(np.float32), generator.random((4, 2)).astype(np.float32) + 1]
        for _ in range(12)
    ]
    alone = [reader.read(Item(strokes=ink), num_beams=2) for ink in inks]
    with ThreadPoolExecutor(6) as visitors:
        together = list(visitors.map(lambda ink: reader.read(Item(strokes=ink), num_beams=2), inks))
    for one, other in zip(alone, together, strict=True):
        assert isinstance(one, Seen)
        assert isinstance(other, Seen)
        assert np.array_equal(one.picture, other.picture)
        assert one.recognition.latex == other.recognition.latex


def test_the_model_is_loaded_once(settings: DemoSettings, reader: SharedReader) -> None:
    """Half a gigabyte for each visitor would end soon."""
    assert reader_of(DemoSettings.from_mapping(settings.to_mapping())) is reader


@pytest.mark.parametrize("ink", [None, 3, "x", {}, {"json": 3}, {"json": '{"strokes":[]}', "example": "a"}])
def test_an_empty_sheet_is_no_ink(monkeypatch: pytest.MonkeyPatch, ink: object) -> None:
    """Nor is anything that the page's own script would not send."""
    renderer = lambda *_, **__: lambda **_: SimpleNamespace(ink=ink)  # noqa: E731  # a stand-in of one line
    monkeypatch.setattr(parts.st.components.v2, "component", renderer)
    assert parts.sheet([]) is None


def inks_folder(folder: Path, rows: list[Ink]) -> Path:
    """As the ingest stage leaves it."""
    folder.mkdir()
    half = len(rows) // 2
    for number, part in enumerate((rows[:half], rows[half:])):
        pq.write_table(ink_table(part), folder / f"part-{number:05d}.parquet")
    content = {"parts": [{"name": "part-00000.parquet"}, {"name": "part-00001.parquet"}]}
    write_manifest(folder, Manifest(kind="inks", version=1, params={}, inputs={}, content=content))
    return folder


def row(number: int, *, split: str, label: str) -> Ink:
    """An ink whose first point tells it from the others."""
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
    """Inks that the model was trained on would flatter it; twelve that are alike would bore."""
    tests = [row(number, split="test", label="x" + "+1" * (number % 10)) for number in range(40)]
    long = row(90, split="test", label="x" * (MAX_TOKENS + 1))
    folder = inks_folder(tmp_path / "inks", [*tests, row(91, split="train", label="y+y"), long])
    found = find_examples(folder, count=5)
    assert len(found) == 5
    by_key = {ink.key: ink for ink in tests}
    for example in found:
        assert example.label == by_key[example.key].label
        assert np.array_equal(example.strokes[0], by_key[example.key].strokes[0])
    lengths = [len(example.label) for example in found]
    assert lengths == sorted(set(lengths))
    assert [example.key for example in find_examples(folder, count=5)] == [example.key for example in found]
    assert len(find_examples(folder, count=50)) == 9  # labels of one symbol are none, and each label comes once


def test_without_test_inks_examples_are_generated(tmp_path: Path) -> None:
    """A fresh clone has no data, and a model that was published alone neither."""
    folder = inks_folder(tmp_path / "inks", [row(1, split="train", label="y+y"), row(2, split="valid", label="y")])
    nowhere, nothing = find_examples(tmp_path / "gone", count=6), find_examples(folder, count=6)
    assert [example.key for example in nowhere] == [example.key for example in nothing]
    assert len(nowhere) == 6
    for example in nowhere:
        assert normalize(example.label) == example.label
        assert draw_ink(example.strokes, CANVAS).min() == 0


def test_damaged_inks_are_said_before_anything_is_served(settings: DemoSettings, tmp_path: Path) -> None:
    """One line at the start, not a page that fails for every visitor."""
    (tmp_path / MANIFEST_NAME).write_text("{")
    said: list[str] = []
    damaged = DemoSettings.from_mapping({**settings.to_mapping(), "inks": str(tmp_path)})
    gone = DemoSettings.from_mapping({**settings.to_mapping(), "model": str(tmp_path / "gone")})
    for wrong, mend in ((damaged, "latexify ingest"), (gone, "latexify train")):
        with pytest.raises(LatexifyError, match=mend):
            run(wrong, host="127.0.0.1", port=0, open_browser=False, announce=said.append)
    assert not said


def ask(*, kind: str = "http", **headers: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the application behind the middleware was asked, and what went back to the client."""
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
    asyncio.run(OwnPagesOnly(app)(scope, receive, send))
    return asked, sent


def test_pages_from_elsewhere_may_not_ask() -> None:
    """Any page that is open in the same browser could, otherwise; and Streamlit would ask the internet who it is."""
    for kind in ("http", "websocket"):
        asked, sent = ask(kind=kind, host="box:8501", origin="http://elsewhere")
        assert not asked
        assert sent[0].get("status", sent[0].get("code")) in {403, 1008}
    for headers in ({"host": "box:8501"}, {"host": "box:8501", "origin": "https://box:8501"}):
        asked, sent = ask(**headers)
        assert [name for name, _ in asked[0]["headers"]] == [b"host"]
        assert dict(sent[0]["headers"])[b"content-security-policy"] == POLICY.encode()


def test_nothing_is_told_to_anybody() -> None:
    """Statistics, error links and a program's interface are on unless they are switched off."""
    chosen = options()
    assert chosen["browser.gatherUsageStats"] is False
    assert chosen["client.showErrorDetails"] == "none"
    assert chosen["server.enableAgentApi"] is False
    assert set(chosen) <= set(config.get_config_options())
