"""The page to write on, in headless Chromium with real mouse, touch and keyboard events."""

import json
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest

from latexify.common.package_data import default_model
from latexify.serve.examples import example_inks
from scripts.browser import Chromium, Page, find_browser
from tests.support.handwriting import encoded, ink
from tests.support.service_process import Service, service
from tests.support.write_page import ONE, PLUS, give_file, open_page, wait_for_answer, write

PNG = encoded(255 - 255 * ink())


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser."""
    command = find_browser()
    if command is None:
        pytest.skip("no browser installed (chromium, google-chrome): the service's page is not tested in one")
    with Chromium(command, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    """The service with the shipped model."""
    with service(default_model()) as running:
        yield running


@pytest.fixture
def page(chromium: Chromium, running: Service) -> Iterator[Page]:
    """The page with an empty sheet, in a new tab. It must ask no other server for anything, and have no errors."""
    with chromium.page() as page:
        open_page(page, running.url)
        yield page
        assert page.complaints == []
        assert all(url.startswith((running.url, "data:", "blob:")) for url in page.asked_for)


def texts(page: Page, selector: str) -> list[str]:
    """The texts of the elements that fit a selector."""
    found: list[str] = page.value(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)")
    return found


def test_what_is_written_is_typeset_and_every_reading_can_be_chosen(page: Page, running: Service) -> None:
    """The best reading stays in the list when another is chosen, and the answer is the service's."""
    write(page, [*PLUS, *ONE])
    best = wait_for_answer(page)
    strokes = page.value("sheet.strokes")
    answer = httpx2.post(f"{running.url}/recognize?beams=3", json={"strokes": strokes}).json()
    assert best == answer["latex"]
    page.wait_for("document.querySelectorAll('#readings svg').length > 1")
    readings = texts(page, "#readings code")
    assert readings == [best, *(other["latex"] for other in answer["alternatives"])]
    page.click("find('readings').children[1].firstElementChild")
    page.wait_for(f"readings.formula()?.latex === {json.dumps(readings[1])}")
    assert page.value("readings.latex()") == readings[1]
    assert texts(page, "#readings code") == readings
    assert texts(page, "#readings [aria-current=true] code") == [readings[1]]
    page.click("find('readings').children[0].firstElementChild")
    page.wait_for(f"readings.formula()?.latex === {json.dumps(best)}")


def test_a_finger_writes_as_a_mouse_does(page: Page) -> None:
    """On a telephone, where a button offers the camera, and nothing is wider than the screen."""
    page.look_like(width_px=375, height_px=812, phone=True)
    write(page, [*PLUS, *ONE], touch=True)
    wait_for_answer(page)
    assert page.value("sheet.strokes.length") == 3
    assert page.value("find('camera').getAttribute('capture')") == "environment"
    assert page.value("getComputedStyle(document.querySelector('.camera')).display") != "none"
    assert page.value("document.documentElement.scrollWidth <= innerWidth")


def test_latex_can_be_edited_and_copied_in_every_format(page: Page) -> None:
    """The preview follows what is typed."""
    page.click("find('latex')")
    page("Input.insertText", text=r"\left(\frac{a}{b}\right)^2")
    page.wait_for("readings.formula() && document.querySelector('#preview svg')")
    assert page.value("find('preview').firstElementChild.getAttribute('aria-label')") == r"(\frac{a}{b})^{2}"
    pretty = page.value("readings.formula().formats.pretty")
    assert texts(page, "#pretty") == [pretty]
    for number in range(page.value("FORMATS.length")):
        page.value(f"find('format').selectedIndex = {number}")
        page.click("find('copy')")
        page.wait_for(f"copied.length === {number + 1}")
    latex, spaced, inline, display, mathml, typst, svg, png = page.value("copied")
    assert (latex, spaced) == (r"\left(\frac{a}{b}\right)^2", pretty)
    assert (inline, display) == (f"${pretty}$", rf"\[ {pretty} \]")
    assert mathml.startswith("<math")
    assert typst.startswith("(")
    assert svg.startswith("<svg")
    assert (png[0], png[1] > 1000) == ("image/png", True)


def test_latex_that_is_not_finished_says_why_it_is_not_shown(page: Page) -> None:
    """While a person types."""
    page.click("find('latex')")
    page("Input.insertText", text=r"\frac{a}{")
    page.wait_for("/cannot be shown/.test(find('preview').textContent)")
    page("Input.insertText", text="b}")
    page.wait_for("document.querySelector('#preview svg')")


def test_everything_can_be_taken_back(page: Page) -> None:
    """Undo, redo, the eraser, and Clear, which one key does."""
    write(page, [*PLUS, *ONE])
    page.click("find('undo')")
    assert page.value("sheet.strokes.length") == 2
    page.click("find('redo')")
    assert page.value("sheet.strokes.length") == 3
    page.click("find('eraser')")
    write(page, [[(60, 90), (75, 110)]])
    assert page.value("sheet.strokes.length") == 2
    page.click("find('eraser')")
    page.click("find('clear')")
    assert page.value("sheet.strokes.length") == 0
    page.wait_for("find('latex').value === ''")
    page.click("find('undo')")
    assert page.value("sheet.strokes.length") == 2
    page.value("find('sheet').focus()")
    page.press("Escape")
    assert page.value("sheet.strokes.length") == 0
    page.press("z", modifiers=2)
    assert page.value("sheet.strokes.length") == 2
    page.press("y", modifiers=2)
    assert page.value("sheet.strokes.length") == 0


def test_a_scribble_crosses_out_what_is_under_it(page: Page) -> None:
    """And nothing else; a letter w over a stroke deletes nothing."""
    write(page, [*PLUS, *ONE])
    zigzag = [(50 + 10 * (i % 2) * 8, 60 + 8 * i) for i in range(10)]
    write(page, [zigzag])
    assert page.value("sheet.strokes.length") == 1
    page.click("find('undo')")
    assert page.value("sheet.strokes.length") == 3
    write(page, [[(60, 60), (75, 130), (90, 60), (105, 130), (120, 60)]])
    assert page.value("sheet.strokes.length") == 4


def test_ink_and_formulas_outlive_a_reload(page: Page, running: Service) -> None:
    """A phone reloads pages that were out of sight."""
    write(page, [*PLUS, *ONE])
    latex = wait_for_answer(page)
    open_page(page, running.url, keep=True)
    assert page.value("sheet.strokes.length") == 3
    assert wait_for_answer(page) == latex
    page.click("find('clear')")
    page.wait_for("!find('history').hidden")
    open_page(page, running.url, keep=True)
    assert texts(page, "#written code") == [latex]
    page.click("find('written').children[0].firstElementChild")
    page.wait_for(f"readings.latex() === {json.dumps(latex)}")
    page.click("find('forget')")
    assert page.value("find('history').hidden")


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_is_pasted_or_dropped_anywhere(page: Page, running: Service, kind: str) -> None:
    """It is shown, can be removed, and the ink under it stays."""
    write(page, [*PLUS, *ONE])
    written = wait_for_answer(page)
    give_file(page, kind, PNG)
    page.wait_for("viewer.isShown() && find('picture').naturalWidth > 0")
    expected = httpx2.post(f"{running.url}/recognize?beams=3", content=PNG).json()["latex"]
    page.wait_for(f"readings.latex() === {json.dumps(expected)}")
    page.click("find('remove')")
    assert page.value("viewer.isShown()") is False
    page.wait_for(f"readings.latex() === {json.dumps(written)}")
    assert page.value("sheet.strokes.length") == 3


def test_what_is_no_picture_is_named(page: Page) -> None:
    """And the ink stays."""
    write(page, PLUS)
    wait_for_answer(page)
    for kind, data, name, words in [
        ("drop", b"hello", "notes.txt", "cannot be read"),
        ("paste", b"", "empty.png", "is empty"),
        ("drop", b"x" * 9_000_000, "large.png", "at most 8"),
    ]:
        give_file(page, kind, data, name=name)
        page.wait_for(f"find('note').textContent.includes({json.dumps(words)})")
        assert page.value("find('note').classList.contains('warn')")
    empty = "{ clipboardData: new DataTransfer(), bubbles: true }"
    page.value(f"document.body.dispatchEvent(new ClipboardEvent('paste', {empty}))")
    page.wait_for("find('note').textContent.includes('no picture in the clipboard')")
    assert page.value("sheet.strokes.length") == 2
    page.complaints.clear()  # Chromium reports the service's refusal


def test_an_example_is_read(page: Page) -> None:
    """Whoever has no pen at hand sees what the page does."""
    examples = example_inks()
    page.wait_for(f"find('examples').children.length === {len(examples)}")
    page.click("find('examples').children[0]")
    page.wait_for(f"readings.latex() === {json.dumps(examples[0].latex)}")
    page.click("find('undo')")
    assert page.value("sheet.strokes.length") == 0


def test_a_full_storage_is_named(page: Page) -> None:
    """Writing goes on."""
    page.value("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    write(page, [*PLUS, *ONE])
    page.wait_for("!find('full').hidden")
    wait_for_answer(page)


def test_a_service_that_is_gone_is_named_and_the_ink_kept(chromium: Chromium) -> None:
    """It can be asked again."""
    with service(default_model()) as own, chromium.page() as page:
        open_page(page, own.url)
        assert own.stop() == 0
        write(page, PLUS)
        page.wait_for("find('note').textContent.startsWith('No answer')")
        assert page.value("sheet.strokes.length") == 2
        assert page.value("find('again').hidden") is False


def test_the_words_are_honest(page: Page) -> None:
    """The page never claims to be sure, and says where the picture is hardly a formula."""
    words = {
        confidence: page.value(f"verdictOn({{ latex: 'x', calibrated: true, confidence: {confidence} }})[0]")
        for confidence in (0.01, 0.3, 0.7, 0.9971)
    }
    assert words[0.01].startswith("Probably not a formula")
    assert words[0.3].startswith("Not sure (30 %)")
    assert words[0.7].startswith("Probably right (70 %)")
    assert words[0.9971] == "Very likely right (over 99 %)"


def test_the_pause_adapts_to_the_writer(page: Page) -> None:
    """Who writes fast waits less; who pauses between strokes is not interrupted."""
    assert page.value("pauseMs()") == 350
    assert page.value("(gaps = [100, 110, 120, 130], pauseMs())") == 250
    assert page.value("(gaps = [500, 510, 520, 530], pauseMs())") == pytest.approx(609.5, abs=1)
    assert page.value("(gaps = [1400, 1400, 1400], pauseMs())") == 900


def violations(page: Page) -> list[dict[str, Any]]:
    """What axe finds wrong with the page as it is."""
    folder = find_spec("axe_core_python")
    assert folder is not None
    assert folder.origin is not None
    page.value(Path(folder.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.value(
        "axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.map(({ id, nodes }) => "
        "({ id, nodes: nodes.map((node) => node.html.slice(0, 200)) })))"
    )
    return found


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width_px", [1280, 375])
def test_the_page_is_accessible(page: Page, *, width_px: int, dark: bool) -> None:
    """Checked by axe with nothing, with an answer and a history, and with a picture."""
    if find_spec("axe_core_python") is None:
        pytest.skip("the package axe-core-python is not installed: accessibility is not tested")
    page.look_like(width_px=width_px, height_px=812, dark=dark, phone=width_px < 500)
    assert violations(page) == []
    write(page, [*PLUS, *ONE], touch=width_px < 500)
    wait_for_answer(page)
    page.value("history_.add('x^{2}')")
    page.wait_for("document.querySelector('#readings svg') && document.querySelector('#written svg')")
    time.sleep(0.1)  # for a change of colours to end
    assert violations(page) == []
    give_file(page, "paste", PNG)
    page.wait_for("viewer.isShown() && find('picture').naturalWidth > 0")
    assert violations(page) == []
