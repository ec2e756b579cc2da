"""Measuring lines and classes of symbols, and the table of printed proportions."""

import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

from latexify.pipeline.synthesis.composed.measuring import Written, measure, printed


def test_lines_and_classes_are_found_again() -> None:
    """Sizes and baselines of lines, and the proportions of classes, from extents alone, through noise."""
    rng = np.random.default_rng(1)
    tokens = ["2", "x", "y", "d", "-"]
    top, bottom = np.array([-1.0, -0.6, -0.6, -1.2, -0.45]), np.array([0.0, 0.0, 0.5, 0.0, -0.4])
    token, line = rng.integers(0, 5, 1500), np.repeat(np.arange(250), 6)
    size, baseline = rng.uniform(5, 500, 250), rng.uniform(-1000, 1000, 250)
    noise = rng.normal(0, 0.05, (2, 1500))
    low = baseline[line] + size[line] * (top[token] + noise[0])
    high = baseline[line] + size[line] * (bottom[token] + noise[1])
    corners = [np.column_stack([np.zeros(1500), each]) for each in (low, high)]
    written = Written(tokens=tokens, token=token, line=line, low=corners[0], high=corners[1])
    result = measure(written, top=np.array([-1, -0.7, -0.7, -1, -0.5]), bottom=np.array([0, 0, 0.3, 0, -0.5]))
    np.testing.assert_allclose(result.top, top, atol=0.03)
    np.testing.assert_allclose(result.bottom, bottom, atol=0.03)
    assert result.sound.mean() > 0.9
    assert np.median(np.abs(result.size / size - 1)[result.sound]) < 0.05


def test_a_line_of_dashes_has_no_known_size() -> None:
    """A minus alone would otherwise set its line's size to nearly nothing, and be drawn as large as a page."""
    corners = np.array([[0.0, 10.0], [5.0, 10.0]]), np.array([[4.0, 10.4], [9.0, 10.3]])
    written = Written(tokens=["-"], token=np.zeros(2, int), line=np.zeros(2, int), low=corners[0], high=corners[1])
    assert not measure(written, top=np.array([-0.42]), bottom=np.array([-0.38])).sound.any()


@pytest.mark.parametrize(
    ("token", "is_low", "is_high"), [("x", False, False), ("y", True, False), ("d", False, True), ("-", False, False)]
)
def test_printed_proportions_have_ascenders_and_descenders(token: str, *, is_low: bool, is_high: bool) -> None:
    """The measurement starts from these, and rare symbols keep them."""
    result = printed(token)
    assert (result.bottom > 0.15, result.top < -0.9) == (is_low, is_high)


def test_an_unknown_command_has_the_proportions_of_a_capital() -> None:
    """A symbol file may hold any command; it must not end the run."""
    assert printed("\\nosuchcommand") == printed("\\anotherone")


def test_the_table_holds_the_proportions_of_mathtext() -> None:
    """A wrong table would scale symbols wrongly; it must equal the library that it was made with."""
    font = FontProperties(math_fontfamily="cm", size=100)
    capital = MathTextParser("path").parse("$H$", dpi=72, prop=font).height
    for token in [*"xyd2-(=", "\\alpha", "\\sum", "\\pm", "\\mathbb{R}", "\\heartsuit", "\\{", "\u00e9", "\u4e00"]:
        parsed = MathTextParser("path").parse(f"${token}$", dpi=72, prop=font)
        expected = (parsed.depth - parsed.height, parsed.depth, parsed.width)
        assert printed(token) == tuple(value / capital for value in expected), token
