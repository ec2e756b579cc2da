"""The page as visitors get it, without a browser."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from latexify.serve.demo.page import BEAMS
from latexify.serve.demo.server import SCRIPT
from latexify.serve.demo.state import DemoSettings, shared_recognizer
from latexify.serve.recognizer import Recognizer
from latexify.shards.format.png import decode_png
from tests.support.handwriting import encoded, ink, inkml


@pytest.fixture
def page(settings: DemoSettings) -> AppTest:
    """The page as a visitor first sees it."""
    test = AppTest.from_file(SCRIPT, default_timeout=60)
    test.secrets["latexify"] = settings.to_mapping()
    return test.run()


def uploader(page: AppTest) -> Any:
    """The widget that takes files."""
    return page.get("file_uploader")[0]


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
    assert "8 MB" in uploader(page).label


def test_files_are_recognised_independently(page: AppTest, model: Path) -> None:
    """A broken photo among good ones gets a line with its name, and does not affect the others."""
    files = {
        "ink_1*.inkml": inkml(),
        "cut.png": encoded(255 - 255 * ink())[:600],
        "text.jpg": b"no image",
        "photo.jpg": encoded(200 * ink() + 20, "JPEG"),
    }
    uploader(page).set_value([(name, data, "") for name, data in files.items()]).run()
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
    uploader(page).set_value([("a.inkml", inkml(), "")]).run()
    counts = []
    for num_beams in (1, 8):
        page.slider[0].set_value(num_beams).run()
        counts.append(len(widget_data(page)[-1]["candidates"]))
    assert counts[0] == 1 < counts[1]


def test_too_many_files_are_cut_off(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A visitor who drops a folder of a thousand photos must not block all others."""
    shared = shared_recognizer(DemoSettings.from_mapping(page.secrets["latexify"]))
    monkeypatch.setattr(shared, "limits", replace(shared.limits, max_items=2))
    uploader(page).set_value([(f"{number}.inkml", inkml(), "") for number in range(3)]).run()
    assert len([data for data in widget_data(page) if "candidates" in data]) == 2
    assert "first 2" in page.warning[0].value
