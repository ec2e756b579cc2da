r"""Environments that draw the same have one normal form, and no others."""

import pytest

from latexify.eval.metrics.visual import VisualScorer
from latexify.pipeline.latex import normalize

ALIGNED = r"\begin{aligned}a&=b\\c&=d\end{aligned}"


@pytest.mark.parametrize(
    "spelling",
    [
        r"\begin{align}a&=b\\c&=d\end{align}",
        r"\begin{align*}a&=b\\c&=d\\\end{align*}",
        r"\begin{aligned}[t]a&=b\\c&=d\end{aligned}",
        r"\begin{split}a&=b\\c&=d\end{split}",
        r"\begin{alignat}{2}a&=b\\c&=d\end{alignat}",
        r"\begin{alignedat}{1}a&=b\\c&=d\end{alignedat}",
        r"\begin{flalign*}a&=b\\c&=d\end{flalign*}",
        r"\begin{eqnarray}a&=&b\nonumber\\c&=&d\end{eqnarray}",
        r"\begin{eqnarray*}a&=&b\\c&=&d\end{eqnarray*}",
        r"\begin{array}{rl}a&=b\\c&=d\end{array}",
        r"\begin{array}{rcl}a&=&b\\c&=&d\end{array}",
        r"\begin{equation}\begin{split}a&=b\\c&=d\end{split}\end{equation}",
    ],
)
def test_aligned_lines_are_one_environment(spelling: str) -> None:
    """Right lines of a model would count as wrong, because their author wrote another name."""
    assert normalize(spelling) == ALIGNED
    assert normalize(ALIGNED) == ALIGNED


@pytest.mark.parametrize("name", ["gather", "gather*", "gathered"])
def test_centred_lines_are_one_environment(name: str) -> None:
    """The same for lines without an alignment."""
    assert normalize(rf"\begin{{{name}}}a\\b\end{{{name}}}") == r"\begin{gathered}a\\b\end{gathered}"


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        (r"\begin{align}a&=b\end{align}", "a=b"),
        (r"\begin{eqnarray}a&=&b\\\end{eqnarray}", "a=b"),
        (r"\begin{gather*}x^2\end{gather*}", "x^{2}"),
        (r"2\begin{aligned}x\end{aligned}^2", "2x^{2}"),
        (r"\begin{align}\end{align}", ""),
        (r"\begin{align}\sqrt&x\end{align}", r"\begin{aligned}\sqrt&x\end{aligned}"),
        (r"\begin{align}\foo&{ab}c\end{align}", r"\begin{aligned}\foo&abc\end{aligned}"),
    ],
)
def test_lines_that_are_one_are_no_environment(spelling: str, canonical: str) -> None:
    """The picture shows one line, whatever was around it. What would swallow its neighbour stays apart."""
    assert normalize(spelling) == canonical
    assert normalize(canonical) == canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\begin{align}a&=b\\c&=d\end{align}", r"\begin{gather}a=b\\c=d\end{gather}"),
        (r"\begin{array}{rl}a&b\\c&d\end{array}", r"\begin{array}{lr}a&b\\c&d\end{array}"),
        (r"\begin{array}{rl}a&b\\c&d\end{array}", r"\begin{array}{r|l}a&b\\c&d\end{array}"),
        (r"\begin{array}{rl}a&b\end{array}", "ab"),
        (r"\begin{align}a&=b\\c&=d\end{align}", r"\begin{align}a=b\\c=d\end{align}"),
        (r"\begin{align}a\\b\end{align}", r"\begin{align}b\\a\end{align}"),
        (r"\begin{align}a\\b\end{align}", r"\begin{cases}a\\b\end{cases}"),
    ],
)
def test_environments_that_draw_otherwise_stay_apart(one: str, other: str) -> None:
    """A wrong answer would count as right."""
    assert normalize(one) != normalize(other)


def test_a_bracket_at_the_front_is_no_option() -> None:
    """``[a]`` would disappear when the label is normalised again."""
    once = normalize(r"\begin{align}[a]&=b\\c&=d\end{align}")
    assert once == r"\begin{aligned}{}[a]&=b\\c&=d\end{aligned}"
    assert normalize(once) == once


@pytest.mark.parametrize(
    "spelling",
    [
        r"\begin{align*}a&=b+c\\d&=e\end{align*}",
        r"\begin{split}a&=b\\c&=d\end{split}",
        r"\begin{array}{rl}a&b\\c&d\end{array}",
        r"\begin{align*}a&=b\end{align*}",
        r"\begin{gather*}a\\b\end{gather*}",
        r"x\begin{aligned}y\end{aligned}^2",
    ],
)
def test_the_normal_form_looks_like_what_it_replaces(spelling: str) -> None:
    """Judged by the typesetter, not by us. It numbers the lines of ``align``, as LaTeX does."""
    assert VisualScorer().score(spelling, normalize(spelling)) == 1
