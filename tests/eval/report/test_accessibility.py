"""A whole report, with everything unfolded: nothing that axe finds wrong, at both widths, light and dark."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from latexify.artifacts.names import REPORT_NAME
from scripts.browser import Chromium, Page, find_browser
from tests.support.report_inputs import commit_an_earlier_run, make, make_inputs
from tests.support.write_page import violations

pytestmark = pytest.mark.skipif(find_spec("axe_core_python") is None, reason="axe-core-python is not installed")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The report of a run, and of one before it, in a browser."""
    command = find_browser()
    if command is None:
        pytest.skip("no browser installed (chromium, google-chrome)")
    folder: Path = tmp_path_factory.mktemp("report")
    inputs = make_inputs(folder)
    commit_an_earlier_run(inputs)
    make(inputs)
    with Chromium(command, folder) as browser, browser.page() as page:
        page.open((inputs["out"] / REPORT_NAME).as_uri())
        page.wait_for("document.readyState === 'complete' && document.getElementById('gallery')")
        page.value("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        yield page


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width_px", [1280, 375])
def test_axe_finds_nothing(tab: Page, *, width_px: int, dark: bool) -> None:
    """Charts, tables, the comparison and the gallery; and nothing is wider than a telephone."""
    tab.look_like(width_px=width_px, height_px=812, dark=dark, phone=width_px < 500)
    assert tab.value("document.querySelectorAll('figure').length") >= 5
    assert tab.value("document.querySelectorAll('table.compared').length") == 1
    assert violations(tab) == []
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
