"""Layouts of typeset formulas: every visible symbol once, in its position."""

import unicodedata

import pytest

from latexify.eval.metrics.layout import lay_out
from latexify.eval.metrics.typeset import TypesetError


@pytest.mark.parametrize(
    ("formula", "symbols"),
    [
        (r"\frac{a+b}{c}", ["a", "+", "b", "c", "horizontal line"]),
        (r"\sum_{i=1}^{n}x_{i}", ["∑", "i", "=", "1", "n", "x", "i"]),
        (r"\begin{matrix}a&b\\c&d\end{matrix}", ["a", "b", "c", "d"]),
        (r"\sqrt[3]{x^{2}}+y", ["3", "√", "x", "2", "+", "y"]),
        (r"\boxed{x}\cancel{y}", ["box", "x", "diagonal", "y"]),
        (r"\phantom{a}b", ["b"]),
    ],
)
def test_a_layout_has_every_symbol_once(formula: str, symbols: list[str]) -> None:
    """An omitted symbol could be wrong without being noticed."""
    layout = lay_out(formula)
    # a styled letter is another character, compatible with the plain one
    names = [unicodedata.normalize("NFKC", name) for name in layout.names]
    assert sorted(names) == sorted(symbols)
    assert len(layout) == len(layout.centres) == len(layout.extents) == len(layout.sizes)
    assert (layout.extents > 0).all()
    assert layout.sizes.max() == 1


def test_symbols_have_the_positions_that_a_reader_sees() -> None:
    """The numerator is above the bar, the denominator below it, the bar between: y points down."""
    layout = lay_out(r"\frac{a}{b}")
    above, below, bar = layout.centres[:, 1]
    assert above < bar < below
    script = lay_out("x^2")
    assert script.sizes[1] < script.sizes[0]
    assert script.centres[1, 0] > script.centres[0, 0]


@pytest.mark.parametrize("nothing", [r"\phantom{x}", "{}", r"\frac{a}", "}"])
def test_what_shows_nothing_has_no_layout(nothing: str) -> None:
    """It must count as unreadable rather than as similar to anything."""
    with pytest.raises(TypesetError):
        lay_out(nothing)
