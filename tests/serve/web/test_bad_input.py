"""What goes wrong is said on the page, and the ink is kept: real pastes, drops, refusals and failures in Chromium."""

import json
from pathlib import Path

import pytest

from latexify.common.package_data import default_model
from scripts.browser import Chromium, Page
from tests.support.handwriting import encoded, ink
from tests.support.service_process import service
from tests.support.write_page import ONE, PLUS, Kind, drop_paths, give_file, open_page, running, wait_for_answer, write

PNG = encoded(255 - 255 * ink())
PASTE = {"modifiers": 2, "commands": ["paste"]}


def wait_for_warning(page: Page, words: str) -> None:
    """Until the page says so, as a warning; the three strokes that were written are still there."""
    page.wait_for(f"find('note').textContent.includes({json.dumps(words)})")
    assert page.value("find('note').classList.contains('warn')")
    assert page.value("sheet.strokes.length") == 3


@pytest.fixture
def written(page: Page) -> Page:
    """The page with three strokes and their answer."""
    write(page, [*PLUS, *ONE])
    wait_for_answer(page)
    return page


def test_pasted_text_is_told_where_it_can_go(written: Page) -> None:
    """With the browser's own clipboard. Where a person types, it goes into the field as anywhere."""
    written.value("find('latex').focus()")
    for command in ("selectAll", "copy"):
        written.press("c", modifiers=2, commands=[command])
    latex = written.value("find('latex').value")
    written.value("find('sheet').focus()")
    written.press("v", **PASTE)
    wait_for_warning(written, "no picture in the clipboard. Text can be pasted into the LaTeX field")
    written.value("(find('latex').focus(), find('latex').setSelectionRange(0, 0))")
    written.press("v", **PASTE)
    written.wait_for(f"find('latex').value === {json.dumps(latex + latex)}")


@pytest.mark.parametrize(
    ("way", "data", "name", "words"),
    [("drop", b"hello", "notes.txt", "cannot be read"), ("paste", b"", "empty.png", "empty.png is empty")],
)
def test_what_is_no_picture_is_named(written: Page, way: str, data: bytes, name: str, words: str) -> None:
    """Whichever way it comes."""
    give_file(written, way, data, name=name)
    wait_for_warning(written, words)
    written.complaints.clear()  # Chromium reports the service's refusal


def test_a_dropped_folder_is_named(written: Page, tmp_path: Path) -> None:
    """A browser gives its name without a content, like an empty file."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.png").write_bytes(PNG)
    drop_paths(written, [tmp_path / "photos"])
    wait_for_warning(written, "That is a folder: drop the pictures in it.")
    drop_paths(written, [tmp_path / "photos/a.png"])
    written.wait_for("viewer.isShown() && find('file-name').textContent === 'a.png'")


def test_a_picture_of_100_mb_is_not_sent(written: Page, tmp_path: Path) -> None:
    """The service would refuse it after minutes of upload."""
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(100_000_000)
    drop_paths(written, [tmp_path / "large.png"])
    wait_for_warning(written, "large.png has 100 MB, at most 8 are possible: make it smaller.")


def test_a_refused_camera_is_named(written: Page) -> None:
    """A browser does not tell a refusal from a change of mind."""
    written.look_like(width_px=375, height_px=812, phone=True)
    written("Page.setInterceptFileChooserDialog", enabled=True, cancel=True)
    written.click("find('camera').parentElement")
    wait_for_warning(written, "There is no photo. If the camera is refused, allow it in the browser's settings")


def test_without_a_clipboard_copying_goes_another_way_or_says_so(written: Page) -> None:
    """Browsers give it to pages of https and localhost only; a service in a local network has neither."""
    written.value("Object.defineProperty(navigator, 'clipboard', { configurable: true, value: undefined })")
    written.click("find('copy')")
    written.wait_for("find('copy').textContent === 'Copied'")
    written.value("document.execCommand = () => false")
    written.click("find('copy')")
    written.wait_for("find('copy').textContent === 'Press Ctrl+C to copy'")
    assert written.value("find('latex').selectionEnd - find('latex').selectionStart") == len(
        written.value("find('latex').value")
    )
    written.value("find('format').selectedIndex = 2")
    written.click("find('copy')")
    written.wait_for("find('copy').textContent === 'The browser does not allow copying here'")
    assert written.value("sheet.strokes.length") == 3


def test_a_full_storage_is_named(page: Page) -> None:
    """Writing goes on. Once there is room, the warning goes."""
    page.value("""(() => {
      for (let [size, count] = [2 ** 22, 0]; size >= 1; ) {
        try { localStorage.setItem(`other ${count++}`, "x".repeat(size)); } catch { size = Math.floor(size / 2); }
      }
    })()""")
    write(page, [*PLUS, *ONE])
    page.wait_for("!find('full').hidden")
    wait_for_answer(page)
    page.value("localStorage.clear()")
    write(page, ONE)
    page.wait_for("find('full').hidden")


def test_a_service_that_is_gone_mid_stroke_is_named_and_the_ink_kept(chromium: Chromium, kind: Kind) -> None:
    """The ink is there after a reload, too."""
    with running(kind) as own, chromium.page() as page:
        open_page(page, own.url, kind=kind)
        write(page, PLUS)
        wait_for_answer(page)
        box = page.value("find('sheet').getBoundingClientRect().toJSON()")
        pen = {"button": "left", "buttons": 1, "clickCount": 1}
        page("Input.dispatchMouseEvent", type="mousePressed", x=box["x"] + 200, y=box["y"] + 60, **pen)
        assert own.stop() == 0
        page("Input.dispatchMouseEvent", type="mouseMoved", x=box["x"] + 202, y=box["y"] + 130, **pen)
        page("Input.dispatchMouseEvent", type="mouseReleased", x=box["x"] + 202, y=box["y"] + 130, **pen)
        wait_for_warning(page, "No answer: the service or the network is gone. What you wrote is kept.")
        assert page.value("find('again').hidden") is False
        assert page.value("JSON.parse(localStorage.getItem('latexify.ink')).length") == 3


def test_a_service_that_comes_back_is_asked_again(chromium: Chromium) -> None:
    """By one click."""
    with service(default_model()) as own, chromium.page() as page:
        open_page(page, own.url)
        assert own.stop() == 0
        write(page, [*PLUS, *ONE])
        wait_for_warning(page, "No answer")
        with service(default_model(), "--port", str(own.address[1])):
            page.click("find('again')")
            assert wait_for_answer(page) == "+1"
        assert page.value("find('again').hidden")


def test_a_service_that_is_busy_is_not_said_to_have_read(chromium: Chromium) -> None:
    """A limit of requests says nothing of the ink, which can be read later."""
    with service(default_model(), "--rate-limit", "1") as own, chromium.page() as page:
        open_page(page, own.url)
        write(page, PLUS)
        page.wait_for("readings.latex() !== ''")
        write(page, ONE)
        wait_for_warning(page, "No answer now: more than 1 requests a minute: try again in")
        assert page.value("find('again').hidden") is False
