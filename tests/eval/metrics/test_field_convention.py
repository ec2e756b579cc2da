r"""The field's convention: it forgives what papers do not write, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.eval.metrics.edits import count_edits
from latexify.eval.metrics.field_convention import field_tokens, is_affected
from latexify.pipeline.latex import tokenize

SAME = [
    (r"\mathbf{x}", "x"),
    (r"\mathrm{erf}(x)", "erf(x)"),
    (r"\mathbb{R}^{n}", "R^{n}"),
    (r"\text{or~so}", "orso"),
    (r"{x_{1}}^{2}", "x_{1}^{2}"),
    (r"{a+b}^{2}", "a+b^{2}"),
    (r"\frac{{a+b}^{2}}{c}", r"\frac{a+b^{2}}{c}"),
    (r"\sin x", "sinx"),
    (r"f^{\prime}", r"f\prime"),
    (r"f_{1}^{\prime2}", r"f_{1}\prime^{2}"),
    (r"a,\dots,b", r"a,\cdots,b"),
    (r"\|x\|", "||x||"),
    (r"a\parallel b", r"a\|b"),
]
DIFFERENT = [
    ("x", "y"),
    ("x^{2}", "x_{2}"),
    ("x^{ab}", "x^{a}b"),
    (r"\frac{a}{b}", "ab"),
    (r"\frac{a}{b}^{2}", r"\frac{a}{b^{2}}"),
    (r"a{}_{1}b", "a_{1}b"),
    (r"\hat{x}", "x"),
    (r"\vdots", r"\dots"),
    (r"|x|", "x"),
    (r"\|x\|", "|x|"),
    (r"\le", "<"),
    (r"\sin", r"\cos"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_papers_do_not_write_is_no_error(one: str, other: str) -> None:
    """Their figures would be compared with a stricter one of ours."""
    totals = count_edits([one], [other]).totals()
    assert (totals["num_exact"], totals["num_exact_field"]) == (0, 1)
    totals = count_edits([other], [one]).totals()
    assert totals["num_exact_field"] == 1


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_errors_stay_errors(one: str, other: str) -> None:
    """A figure that forgives more than papers do would flatter us."""
    assert count_edits([one], [other]).totals()["num_exact_field"] == 0


PIECES = r"""
    a b 1 + { } { } ^ _ ^{ _{ \frac \sqrt [ ] \sin \mathrm{ \mathbb{R} \prime ' \cdots \| | \text{ ~ & \\ \foo
    \begin{matrix} \end{matrix}
"""
TEXTS = st.lists(st.sampled_from(PIECES.split()), max_size=12).map("".join)


@given(TEXTS, TEXTS)
def test_the_convention_only_forgives(reference: str, prediction: str) -> None:
    """It can make a wrong answer right, never a right one wrong; any text can be counted."""
    edits = count_edits([reference], [prediction])
    assert 0 <= edits.field_errors[0] <= edits.symbol_errors[0]


@given(TEXTS)
def test_the_quick_look_misses_nothing(text: str) -> None:
    """Formulas that it passes over are not looked at again."""
    tokens = [token for token in tokenize(text) if not token.isspace()]
    assert is_affected(text) or field_tokens(tokens) == tokens


def test_errors_that_are_left_count_by_the_fewer_of_both() -> None:
    r"""``\sin`` for ``\cos`` is one token wrong, not three letters."""
    totals = count_edits([r"\sin x+\dots"], [r"\cos x+\cdots"]).totals()
    assert [totals[f"num_within_{limit}"] for limit in (1, 2)] == [0, 1]
    assert [totals[f"num_within_{limit}_field"] for limit in (1, 2)] == [0, 1]
    assert count_edits([r"\sin x"], [r"\cos x"]).totals()["num_within_1_field"] == 1
