"""Typesetting gives a picture or a reason, never an exception, and never other content of the formula."""

import re
import time
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.eval.metrics.typeset import Typesetter

TOKENS = [
    *"xy12+=(){}^_&[]<>|'",
    *(r"\frac", r"\sqrt", r"\sum", r"\left(", r"\right)", r"\left", r"\right", r"\begin{matrix}", r"\end{matrix}"),
    *(r"\\", r"\limits", r"\mathbb{R}", r"\text", r"\hat", r"\alpha ", r"\genfrac", r"\skew", r"\unknown ", r"\tag"),
]


@pytest.mark.parametrize("latex", ["x", r"\frac{a}{b}", r"\sqrt[3]{x}", r"\begin{matrix}a&b\\c&d\end{matrix}", "a<b"])
def test_formulas_are_drawn_with_glyphs_that_the_page_has(latex: str) -> None:
    """A reference to a glyph that is not there is a hole in the formula."""
    typesetter = Typesetter()
    svg = typesetter.draw(latex).svg
    assert svg is not None
    used = set(re.findall(r'href="#([^"]+)"', svg))
    assert used
    assert used <= set(re.findall(r'<symbol id="([^"]+)"', typesetter.glyphs()))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(TOKENS), max_size=14).map("".join))
def test_no_formula_raises(latex: str) -> None:
    """One odd prediction among thousands must not break the whole report."""
    drawn = Typesetter().draw(latex)
    assert (drawn.svg is None) == bool(drawn.reason)
    if drawn.svg:
        ET.fromstring(drawn.svg)  # noqa: S314  # the thing tested


@pytest.mark.parametrize(
    ("latex", "reason"),
    [
        ("", "empty"),
        (r"\foo x", r"unknown command \\foo"),
        (r"\frac{a}", "missing"),
        ("x^{a}^{b}", "double superscripts"),
        (r"\newcommand{\a}{b}\a", r"\\newcommand is not allowed"),
        (r"\def\a{\a\a}\a", r"\\def is not allowed"),
        ("x" * 2001, "longer than 2000"),
        (r"\sqrt{x", "unbalanced braces"),
        (r"\sqrt{x}}", "unbalanced braces"),
        (r"\sqrt{" * 200 + "}" * 200, "nested too deep"),
    ],
)
def test_formulas_that_cannot_be_typeset_have_a_reason(latex: str, reason: str) -> None:
    """People who see no formula want to know why."""
    drawn = Typesetter().draw(latex)
    assert drawn.svg is None
    assert re.search(reason, drawn.reason), drawn.reason


def test_deep_nesting_does_not_stall_the_report() -> None:
    """The typesetter's work doubles with every level: 20 levels would take an hour."""
    started = time.monotonic()
    assert Typesetter().draw(r"\frac{" * 20 + "x" + "}{y}" * 20).svg is None
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "latex",
    [
        r"\color{url(http://evil.example)}x",
        r"\href{javascript:alert(1)}{x}",
        r'\text{"><script>alert(1)</script>}',
        r"\class{evil}{x}",
        r"\style{background:url(http://evil.example)}{x}",
        r"\textcolor{red}{x}",
        "<script>alert(1)</script>",
    ],
)
def test_nothing_but_outlines_comes_out(latex: str) -> None:
    """Labels come from strangers: a colour can hold a URL, a link a script."""
    typesetter = Typesetter()
    svg = typesetter.draw(latex).svg
    if svg is None:
        return
    for element in ET.fromstring(svg).iter():  # noqa: S314  # the thing tested
        assert element.tag in {"svg", "path", "rect", "line", "use", "g"}
        drawn = {name: value for name, value in element.attrib.items() if name != "aria-label"}
        assert not [value for value in drawn.values() if "evil" in value or "script" in value or "red" in value]
        assert element.get("href", "#").startswith("#glyph-") if element.tag == "use" else "href" not in element.attrib
