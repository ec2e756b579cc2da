"""Structures of formulas: each formula is in the groups where a person would look for it."""

import pytest

from latexify.eval.metrics.structure import STRUCTURES, script_depth, structures
from latexify.pipeline.latex import tokenize


@pytest.mark.parametrize(
    ("latex", "depth"),
    [
        ("ab", 0),
        ("a_{b}^{c}", 1),
        ("a_b^c", 1),
        ("x^{a_{b}}", 2),
        ("x^{a_b}", 2),
        ("x^{a}y^{b}", 1),
        ("e^{-x^{2^{n}}}", 3),
        (r"\frac{a^{2}}{b}", 1),
        ("f'", 0),
        ("x^", 1),
        ("}}^{a", 1),
        ("", 0),
    ],
)
def test_script_depth(latex: str, depth: int) -> None:
    """Deep scripts are what small canvases lose: they must not be counted among flat ones."""
    assert script_depth(tokenize(latex)) == depth


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"\frac{a}{b}", {"fraction", "scripts 0 deep"}),
        (r"\sqrt[3]{x}", {"root", "scripts 0 deep"}),
        (r"\begin{cases}a\\b\end{cases}", {"matrix", "scripts 0 deep"}),
        (r"\sum_{i}^{n}\hat{x}", {"big operator", "accent", "scripts 1 deep"}),
        (r"x^{y^{z^{w}}}", {"scripts 3 or more deep"}),
        ("", {"scripts 0 deep"}),
        ("\\", {"scripts 0 deep"}),
    ],
)
def test_structures(latex: str, expected: set[str]) -> None:
    """A formula may be in several parts, but has one depth."""
    assert structures(latex) == expected
    assert structures(latex) <= set(STRUCTURES)
