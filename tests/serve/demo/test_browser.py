"""`latexify demo` in headless Chromium, with real mouse, touch and keyboard events.

Chromium is controlled by its own protocol (`scripts/browser.py`), without a driver.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from latexify.serve.demo.page import BEAMS
from latexify.serve.recognizer import Picture, Recognition, Recognizer
from scripts.browser import Chromium, Page, every, find_browser, first
from tests.support.handwriting import encoded, ink, inkml
from tests.support.service_process import Service, service

CANVAS = first("canvas")
LATEX = f"{every('code.latex')}.filter((code) => code.getClientRects().length).map((code) => code.textContent)"
STROKES = f"{CANVAS}.getRootNode().widget.sheet.strokes"
CROSS = [[(60, 60), (90, 100), (120, 140)], [(120, 60), (60, 140)]]
"""Two strokes, relative to the sheet's corner."""


@pytest.fixture(scope="module")
def recognizer(model: Path) -> Recognizer:
    """The recogniser that the page must agree with."""
    return Recognizer(model, device="cpu")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser."""
    command = find_browser()
    if command is None:
        pytest.skip("no browser installed (chromium, google-chrome): the demo is not tested in one")
    with Chromium(command, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty home folder of the user who runs the demo."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def demo(model: Path, home: Path) -> Iterator[Service]:
    """The demo, running."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOME", str(home))
        with service(model, "--no-browser", name="demo", ready="/_stcore/health") as running:
            yield running


@pytest.fixture(scope="module")
def tab(chromium: Chromium, demo: Service) -> Iterator[Page]:
    """The page, loaded once, since that is slow."""
    with chromium.page() as page:
        page.look_like(width_px=1280, height_px=800)
        page.open(demo.url)
        page.wait_for(first(".examples button"))
        yield page


@pytest.fixture
def page(tab: Page) -> Page:
    """The page with an empty sheet, on a desktop screen."""
    tab.look_like(width_px=1280, height_px=800)
    tab.click(f"{every('[role=tab]')}[0]")
    tab.wait_for(CANVAS)
    if not tab.value(f"{first('button.clear')}.disabled"):
        tab.click(first("button.clear"))
    tab.wait_for(f"{LATEX}.length === 0")
    return tab


def write(page: Page, strokes: Sequence[Sequence[tuple[float, float]]], *, touch: bool = False) -> None:
    """Draw on the sheet, relative to its corner."""
    box = page.value(f"{CANVAS}.getBoundingClientRect().toJSON()")
    for stroke in strokes:
        page.draw([(box["x"] + x, box["y"] + y) for x, y in stroke], touch=touch)


def expect(page: Page, recognition: Recognition) -> None:
    """Wait until the page shows the candidates, best first."""
    expected = [recognition.latex, *(other.latex for other in recognition.alternatives)]
    page.wait_for(
        f"JSON.stringify({LATEX}) === {json.dumps(json.dumps(expected, ensure_ascii=False, separators=(',', ':')))}"
    )


def expect_ink(page: Page, recognizer: Recognizer, *, num_beams: int = BEAMS) -> None:
    """Wait until the page shows the candidates for the ink on the sheet."""
    strokes = [[[round(x, 2), round(y, 2)] for x, y in stroke] for stroke in page.value(STROKES)]
    expect(page, read(recognizer, recognizer.draw(strokes), num_beams=num_beams))


def read(recognizer: Recognizer, picture: Picture, *, num_beams: int = BEAMS) -> Recognition:
    """Recognise as the page should."""
    return recognizer.read([picture], num_beams=num_beams)[0]


def test_a_visitor_who_writes_gets_latex(page: Page, recognizer: Recognizer) -> None:
    """End to end: write, undo a stroke, clear the sheet, and choose an example."""
    write(page, CROSS)
    drawn = page.value(STROKES)
    corner = page.value(f"[{CANVAS}.clientLeft, {CANVAS}.clientTop]")
    for stroke, expected in zip(drawn, CROSS, strict=True):
        assert [[x + corner[0], y + corner[1]] for x, y in (stroke[0], stroke[-1])] == [
            pytest.approx(expected[0], abs=1),
            pytest.approx(expected[-1], abs=1),
        ]
    expect_ink(page, recognizer)
    assert 0 <= page.value(f"{first('meter')}.value") <= 1
    canvas = recognizer.canvas
    assert page.value(f"[{first('img.seen')}.naturalWidth, {first('img.seen')}.naturalHeight]") == [
        canvas.width_px,
        canvas.height_px,
    ]

    page.click(first("button.undo"))
    assert len(page.value(STROKES)) == 1
    expect_ink(page, recognizer)
    page.click(first("button.clear"))
    page.wait_for(f"{LATEX}.length === 0")
    assert page.value(f"{first('button.clear')}.disabled")
    page.click(first("button.undo"))  # Clear is one key, which is pressed by mistake
    assert len(page.value(STROKES)) == 1
    expect_ink(page, recognizer)
    page.click(first("button.redo"))
    page.wait_for(f"{LATEX}.length === 0")

    page.click(first(".examples button:nth-child(3)"))
    page.wait_for(first(".label"))
    assert page.value(f"{first('.examples button:nth-child(3)')}.ariaPressed") == "true"
    write(page, CROSS[:1])  # no longer the example
    expect_ink(page, recognizer)
    page.wait_for(f"!{first('.label')}")


def test_a_visitor_without_a_mouse_can_use_keys(page: Page, recognizer: Recognizer) -> None:
    """Backspace, Escape and Tab on the sheet; Enter on an example; arrows on the slider."""
    write(page, CROSS)
    expect_ink(page, recognizer)
    page.press("Backspace")
    assert len(page.value(STROKES)) == 1
    expect_ink(page, recognizer)
    page.press("Escape")
    page.wait_for(f"{LATEX}.length === 0")
    page.value(f"{first('.examples button')}.focus()")
    page.press("Enter", text="\r", windowsVirtualKeyCode=13)
    page.wait_for(first(".label"))
    page.value(f"{first('input[type=range]')}.focus()")
    for _ in range(BEAMS - 1):
        page.press("ArrowLeft", windowsVirtualKeyCode=37)
    page.wait_for(f"{LATEX}.length === 1")
    for _ in range(BEAMS - 1):
        page.press("ArrowRight", windowsVirtualKeyCode=39)
    page.wait_for(f"{LATEX}.length > 1")


def test_latex_is_copied_with_one_click(page: Page, demo: Service) -> None:
    """With the Clipboard API and, if that is not available, with `execCommand`."""
    page("Browser.grantPermissions", origin=demo.url, permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    write(page, CROSS)
    page.wait_for(first("button.copy"))
    page.value("addEventListener('copy', () => { window.copied = document.activeElement.value; })")
    for button in (0, 1):
        page.click(f"{every('button.copy')}[{button}]")
        page.wait_for(f"{every('button.copy')}[{button}].textContent === 'Copied'")
        assert page.value("navigator.clipboard.readText()") == page.value(f"{LATEX}[{button}]")
    assert page.value("window.copied") is None
    page.value("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click(f"{every('button.copy')}[2]")
    page.wait_for(f"{every('button.copy')}[2].textContent === 'Copied'")
    assert page.value("window.copied") == page.value(f"{LATEX}[2]")


def test_files_are_recognised(page: Page, recognizer: Recognizer, tmp_path: Path) -> None:
    """An image, an InkML file and a broken one, which does not affect the others; the sheet keeps its ink."""
    write(page, CROSS)
    expect_ink(page, recognizer)
    drawn = page.value(STROKES)
    contents = {"a.inkml": inkml(), "b.png": encoded(255 - 255 * ink()), "c.png": encoded(255 - 255 * ink())[:500]}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    page.click(f"{every('[role=tab]')}[1]")
    page.wait_for(first("input[type=file]"))
    page.choose_files(first("input[type=file]"), [tmp_path / name for name in contents])
    recognitions = [read(recognizer, recognizer.picture_of(contents[name])) for name in ("a.inkml", "b.png")]
    expected = [reading.latex for one in recognitions for reading in (one, *one.alternatives)]
    page.wait_for(f"{LATEX}.join('\\n') === {json.dumps(chr(10).join(expected))}")
    page.wait_for("document.body.innerText.includes('c.png: the image is damaged')")
    page.click(f"{every('[role=tab]')}[0]")
    page.wait_for(CANVAS)
    assert page.value(STROKES) == drawn
    expect_ink(page, recognizer)
    page.click(first("button.undo"))
    expect_ink(page, recognizer)


def test_a_visitor_can_write_with_a_finger_on_a_phone(page: Page, recognizer: Recognizer) -> None:
    """On 375 pixels nothing overflows, and the sheet does not scroll under the finger."""
    page.look_like(width_px=375, height_px=720, phone=True)
    page.wait_for(f"{CANVAS}.getBoundingClientRect().right <= 375")
    page.value(f"{CANVAS}.scrollIntoView({{block: 'center'}})")
    before = page.value(f"{CANVAS}.getBoundingClientRect().y")
    write(page, CROSS, touch=True)
    assert page.value(f"{CANVAS}.getBoundingClientRect().y") == before
    assert [len(stroke) > 1 for stroke in page.value(STROKES)] == [True, True]
    expect_ink(page, recognizer)
    assert page.value("document.documentElement.scrollWidth") <= 375


def test_the_sheet_adapts_to_the_screen(page: Page) -> None:
    """After turning the phone all ink is still visible, and in dark mode the ink is light."""
    write(page, [[(500, 200), (600, 250)]])
    page.look_like(width_px=375, height_px=720, dark=True)
    page.wait_for(f"{STROKES}[0].every(([x]) => x < {CANVAS}.clientWidth)")
    pixels = f"{CANVAS}.getContext('2d').getImageData(0, 0, {CANVAS}.width, {CANVAS}.height).data"
    page.wait_for(f"{pixels}.reduce((most, value, i) => i % 4 === 0 ? Math.max(most, value) : most, 0) > 200")


def test_nothing_failed_and_nothing_came_from_other_servers(page: Page, demo: Service) -> None:
    """In all tests above: no script errors, no violations of the page's policy, no requests to other machines."""
    assert page.complaints == []
    urls = [url.removeprefix("blob:") for url in page.asked_for if not url.startswith("data:")]
    assert {urlsplit(url).netloc for url in urls} == {urlsplit(demo.url).netloc}
    assert any(url.startswith("ws:") for url in urls)


def test_the_demo_ends_on_sigterm(tab: Page, demo: Service, home: Path) -> None:
    """A container is stopped by SIGTERM even with visitors, and killed ten seconds later.

    The demo must not write to the home folder, which may be read-only.
    """
    assert httpx2.get(demo.url).status_code == 200
    assert tab.value("document.visibilityState") == "visible"
    assert demo.stop() == 0
    assert list(home.iterdir()) == []
