"""What the page says of an answer, in words."""

from collections.abc import Iterator

import pytest

from latexify.serve.files import DOUBTFUL
from latexify.serve.web import parts
from scripts.browser import Chromium, Page


@pytest.fixture(scope="module")
def scripts(chromium: Chromium) -> Iterator[Page]:
    """A page with nothing but the script."""
    with chromium.page() as page:
        page.value(parts.read("readings.js") + "; Object.assign(globalThis, { verdictOn, DOUBTFUL }); 0")
        yield page


@pytest.mark.parametrize(
    ("answer", "words", "is_warning"),
    [
        ("{ latex: '', confidence: 0.9, calibrated: true }", "Nothing was recognised. Is it a formula?", True),
        (
            "{ latex: 'x', confidence: 0.05, calibrated: true }",
            "Probably wrong: not a formula, or more than one?",
            True,
        ),
        ("{ latex: 'x', confidence: 0.3, calibrated: true }", "Not sure (30 %): please check it, and", True),
        ("{ latex: 'x', confidence: 0.8, calibrated: true }", "Probably right (80 %)", False),
        ("{ latex: 'x', confidence: 0.9971, calibrated: true }", "Very likely right (over 99 %)", False),
        ("{ latex: 'x', confidence: 0.9971, calibrated: false }", "Please check the formula.", False),
    ],
)
def test_confidence_is_said_in_words(scripts: Page, answer: str, words: str, is_warning: bool) -> None:  # noqa: FBT001
    """A person decides by them whether to look twice; 99.7 % is not 100 %, and what is not calibrated has no number."""
    said, warns = scripts.value(f"verdictOn({answer})")
    assert said.startswith(words)
    assert warns is is_warning


def test_the_page_doubts_where_the_command_does(scripts: Page) -> None:
    """The same picture must not be a formula here and none there."""
    assert scripts.value("DOUBTFUL") == DOUBTFUL
