"""Both pages in every state: nothing that axe finds wrong, at both widths, light and dark."""

import time
from importlib.util import find_spec

import pytest

from scripts.browser import Page
from tests.support.handwriting import encoded, ink
from tests.support.write_page import ONE, PLUS, give_files, violations, wait_for_answer, write

PNG = encoded(255 - 255 * ink())


@pytest.mark.skipif(find_spec("axe_core_python") is None, reason="the package axe-core-python is not installed")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width_px", [1280, 375])
def test_axe_finds_nothing(page: Page, *, width_px: int, dark: bool) -> None:
    """With nothing, with an answer and a history, and with pictures; and nothing is wider than the screen."""
    page.look_like(width_px=width_px, height_px=812, dark=dark, phone=width_px < 500)
    time.sleep(0.5)  # for the colours to change
    assert violations(page) == []
    write(page, [*PLUS, *ONE], touch=width_px < 500)
    wait_for_answer(page)
    page.value("written.add('x^{2}')")
    page.wait_for("find('readings').querySelector('svg') && find('written').querySelector('svg')")
    time.sleep(0.1)
    assert violations(page) == []
    give_files(page, "paste", {"a.png": PNG, "b.png": PNG})
    page.wait_for("viewer.isShown() && find('picture').naturalWidth > 0 && find('opened').children.length === 2")
    page.wait_for("![...find('opened').querySelectorAll('code')].some((code) => code.textContent === '…')")
    assert violations(page) == []
    assert page.value("document.documentElement.scrollWidth <= innerWidth")
