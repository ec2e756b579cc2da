r"""LaTeX for people: easy to read, and the same formula."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.pipeline.latex import normalize
from latexify.serve.formats.layout import tree_of
from latexify.serve.formats.pretty import to_pretty, write_pretty
from tests.support.formulas import FORMULAS


@pytest.mark.parametrize(
    ("latex", "pretty"),
    [
        ("a+b=-c", "a + b = -c"),
        ("x_{1}^{2}y", "x_1^2y"),
        (r"x^{\alpha}y", r"x^\alpha y"),
        ("x^{10}", "x^{10}"),
        (r"x^{\ne}", r"x^{\neq}"),
        (r"f^{\prime}(x)", "f'(x)"),
        (r"f_{1}^{\prime\prime2}", "f_1''^2"),
        (r"(\frac{a}{b})^{2}", r"\left( \frac{a}{b} \right)^2"),
        ("(a+b)^{2}", "(a + b)^2"),
        (r"[0,\frac{1}{2})", r"\left[ 0, \frac{1}{2} \right)"),
        (r"|\frac{a}{b}|+|x|", r"\left| \frac{a}{b} \right| + |x|"),
        (r"|\frac{a}{b}|x|", r"|\frac{a}{b}|x|"),
        (r"(\begin{matrix}a&b\\c&d\end{matrix})", r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}"),
        (r"|\begin{matrix}a\end{matrix}|^{2}", r"\begin{vmatrix} a \end{vmatrix}^2"),
        (r"\{\begin{matrix}x=1\\y=2\end{matrix}", r"\left\{\begin{matrix} x = 1 \\ y = 2 \end{matrix}\right."),
        (r"\begin{aligned}a&=b\\c&=d\end{aligned}", r"\begin{aligned} a &= b \\ c &= d \end{aligned}"),
        (r"\int_{0}^{1}x^{2}dx", r"\int_0^1 x^2\,dx"),
        (r"\iint xydxdy", r"\iint xy\,dx\,dy"),
        (r"\int dx", r"\int dx"),
        (r"\int\frac{dx}{x}", r"\int\frac{dx}{x}"),
        (r"adx", r"adx"),
        (r"\sum_{i=1}^{n}i", r"\sum_{i=1}^n i"),
        (r"\sum_{\begin{matrix}i\\j\end{matrix}}a", r"\sum_{\substack{i \\ j}} a"),
        (r"\lim_{x\rightarrow0}\sin x", r"\lim_{x\to0}\sin x"),
        (r"a\le b", r"a \leq b"),
        (r"\text{if~so}", r"\text{if so}"),
        (r"a\\{}[b]", r"a \\ {}[b]"),
        (r"\begin{matrix}a&<\end{matrix}", r"\begin{matrix} a &< \end{matrix}"),
    ],
)
def test_formulas_are_written_for_people(latex: str, pretty: str) -> None:
    """The normal form is made for comparing: brackets do not grow, and nothing has space around it."""
    assert normalize(latex) == latex
    assert to_pretty(latex) == pretty
    assert normalize(pretty) == latex


@settings(max_examples=400, deadline=None)
@given(FORMULAS)
def test_pretty_latex_is_the_same_formula(latex: str) -> None:
    """What a person copies must be what was recognised."""
    assert normalize(write_pretty(tree_of(latex))) == latex


@pytest.mark.parametrize("latex", ["{a", r"\frac{1}", r"\begin{matrix}a", "x^", "{" * 60 + "x^{2}" + "}^{2}" * 60])
def test_what_is_no_whole_formula_stays_as_it_is(latex: str) -> None:
    """An unconstrained model may write it."""
    assert to_pretty(normalize(latex)) == normalize(latex)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=r"ab1{}^_\|()[]&'+- $"))
def test_any_text_has_a_pretty_form_that_is_the_same(text: str) -> None:
    """Nothing that a model writes may crash the service, or change on the way."""
    latex = normalize(text)
    assert normalize(to_pretty(latex)) == latex
