"""The page to write on, by the service and by the demo, in headless Chromium with real mouse, touch and key events."""

import json

import pytest

from latexify.serve.examples import example_inks
from latexify.serve.recognizer import Recognizer
from scripts.browser import Page
from tests.support.handwriting import encoded, ink, inkml
from tests.support.service_process import Service
from tests.support.write_page import ONE, PLUS, Kind, give_file, give_files, open_page, texts, wait_for_answer, write

PNG = encoded(255 - 255 * ink())


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    """The recogniser that the page must agree with."""
    return Recognizer()


def recognized(recognizer: Recognizer, data: bytes) -> str:
    """The LaTeX of a file, with the options of the quality `fast`."""
    return recognizer.read([recognizer.picture_of(data)], num_beams=3)[0].latex


def test_what_is_written_is_typeset_and_every_reading_can_be_chosen(page: Page, recognizer: Recognizer) -> None:
    """The best reading stays in the list when another is chosen, and the answer is the recogniser's."""
    write(page, [*PLUS, *ONE])
    best = wait_for_answer(page)
    strokes = page.value("sheet.strokes")
    rounded = [[[round(x, 2), round(y, 2)] for x, y in stroke] for stroke in strokes]
    [answer] = recognizer.read([recognizer.draw(rounded)], num_beams=3)
    assert best == answer.latex
    page.wait_for("find('readings').querySelectorAll('svg').length > 1")
    readings = texts(page, "readings", "code")
    assert readings == [best, *(other.latex for other in answer.alternatives)]
    page.click("find('readings').children[1].firstElementChild")
    page.wait_for(f"readings.formula()?.latex === {json.dumps(readings[1])}")
    assert page.value("readings.latex()") == readings[1]
    assert texts(page, "readings", "code") == readings
    assert texts(page, "readings", "[aria-current=true] code") == [readings[1]]
    page.click("find('readings').children[0].firstElementChild")
    page.wait_for(f"readings.formula()?.latex === {json.dumps(best)}")


def test_a_finger_writes_as_a_mouse_does(page: Page) -> None:
    """On a telephone, where a button offers the camera, and nothing is wider than the screen."""
    page.look_like(width_px=375, height_px=812, phone=True)
    write(page, [*PLUS, *ONE], touch=True)
    wait_for_answer(page)
    assert page.value("sheet.strokes.length") == 3
    assert page.value("find('camera').getAttribute('capture')") == "environment"
    assert page.value("getComputedStyle(find('camera').parentElement).display") != "none"
    assert page.value("document.documentElement.scrollWidth <= innerWidth")


def test_latex_can_be_edited_and_copied_in_every_format(page: Page) -> None:
    """The preview follows what is typed."""
    page.click("find('latex')")
    page("Input.insertText", text=r"\left(\frac{a}{b}\right)^2")
    page.wait_for("readings.formula() && find('preview').querySelector('svg')")
    assert page.value("find('preview').firstElementChild.getAttribute('aria-label')") == r"(\frac{a}{b})^{2}"
    pretty = page.value("readings.formula().formats.pretty")
    assert page.value("find('pretty').textContent") == pretty
    for number in range(page.value("find('format').options.length")):
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
    page.wait_for("find('preview').querySelector('svg')")


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


def test_ink_and_formulas_outlive_a_reload(page: Page, server: Service, kind: Kind) -> None:
    """A phone reloads pages that were out of sight."""
    write(page, [*PLUS, *ONE])
    latex = wait_for_answer(page)
    open_page(page, server.url, kind=kind, keep=True)
    assert page.value("sheet.strokes.length") == 3
    assert wait_for_answer(page) == latex
    page.click("find('clear')")
    page.wait_for("!find('history').hidden")
    open_page(page, server.url, kind=kind, keep=True)
    assert texts(page, "written", "code") == [latex]
    page.click("find('written').children[0].firstElementChild")
    page.wait_for(f"readings.latex() === {json.dumps(latex)}")
    page.click("find('forget')")
    assert page.value("find('history').hidden")


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_is_pasted_or_dropped_anywhere(page: Page, recognizer: Recognizer, way: str) -> None:
    """It is shown, can be removed, and the ink under it stays."""
    write(page, [*PLUS, *ONE])
    written = wait_for_answer(page)
    give_file(page, way, PNG)
    page.wait_for("viewer.isShown() && find('picture').naturalWidth > 0")
    page.wait_for(f"readings.latex() === {json.dumps(recognized(recognizer, PNG))}")
    page.click("find('remove')")
    assert page.value("viewer.isShown()") is False
    page.wait_for(f"readings.latex() === {json.dumps(written)}")
    assert page.value("sheet.strokes.length") == 3


def test_several_files_are_listed_and_each_can_be_chosen(page: Page, recognizer: Recognizer) -> None:
    """A broken one does not affect the others."""
    files = {"a.inkml": inkml(), "b.png": PNG, "c.png": PNG[:500]}
    give_files(page, "drop", files)
    page.wait_for("find('opened').children.length === 3")
    page.wait_for("![...find('opened').querySelectorAll('code')].some((code) => code.textContent === '…')")
    lines = texts(page, "opened", "code")
    assert lines[:2] == [recognized(recognizer, files[name]) for name in ("a.inkml", "b.png")]
    assert lines[2].startswith("It cannot be read: ")
    page.click("find('opened').children[1].firstElementChild")
    page.wait_for(f"readings.latex() === {json.dumps(lines[1])} && find('file-name').textContent === 'b.png'")
    page.click("find('remove')")
    assert page.value("find('several').hidden")
    page.complaints.clear()  # Chromium reports the refusal


def test_the_best_quality_reads_seven_drawings(page: Page, recognizer: Recognizer) -> None:
    """What stands there is read again, without being written again."""
    write(page, [*PLUS, *ONE])
    wait_for_answer(page)
    page.value(
        "(find('quality').value = 'best', find('quality').dispatchEvent(new Event('change', { bubbles: true })))"
    )
    strokes = [[[round(x, 2), round(y, 2)] for x, y in stroke] for stroke in page.value("sheet.strokes")]
    [answer] = recognizer.read([recognizer.draw(strokes)], num_beams=4, num_drawings=7)
    expected = [answer.latex, *(other.latex for other in answer.alternatives)]
    found = "[...find('readings').querySelectorAll('code')].map((code) => code.textContent)"
    page.wait_for(f"JSON.stringify({found}) === {json.dumps(json.dumps(expected, separators=(',', ':')))}")


def test_every_example_is_read(page: Page) -> None:
    """Whoever has no pen at hand sees what the page does, on the page as by the command."""
    examples = example_inks()
    page.wait_for(f"find('examples').children.length === {len(examples)}")
    for number, example in enumerate(examples):
        page.click(f"find('examples').children[{number}]")
        page.wait_for(f"readings.latex() === {json.dumps(example.latex)}")
        assert page.value("find('expected').hidden")
    for _ in examples:
        page.click("find('undo')")
    assert page.value("sheet.strokes.length") == 0


def test_the_pause_adapts_to_the_writer(page: Page) -> None:
    """Who writes fast waits less; who pauses between strokes is not interrupted."""
    assert page.value("pace.pauseMs()") == 350
    assert page.value("(pace.gaps = [100, 110, 120, 130], pace.pauseMs())") == 250
    assert page.value("(pace.gaps = [500, 510, 520, 530], pace.pauseMs())") == pytest.approx(609.5, abs=1)
    assert page.value("(pace.gaps = [1400, 1400, 1400], pace.pauseMs())") == 900
