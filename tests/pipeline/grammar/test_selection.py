"""The symbols that a user limits the answers to."""

import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.grammar.selection import select_tokens

VOCABULARY = {*"0123456789abcxyzABC+-=()[]{}^_&|lr", "\\frac", "\\sqrt", "\\le", "\\leftarrow", "\\alpha", "\\text"} | {
    "\\\\",
    "\\begin{array}",
    "\\end{array}",
    "\\begin{cases}",
    "\\end{cases}",
}


@pytest.mark.parametrize(
    ("selection", "chosen"),
    [
        ("digits", {*"0123456789"}),
        ("letters", {*"abcxyzABClr"}),
        ("digits +-=", {*"0123456789+-="}),
        (r"\leq x", {"\\le", "x"}),
        (r"1 ^", {*"1^{}"}),
        (r"a\frac", {*"a{}", "\\frac"}),
        (r"\sqrt", {*"{}[]", "\\sqrt"}),
        (r"\begin{cases}", {"\\begin{cases}", "\\end{cases}", "&", "\\\\"}),
        (r"\begin{array}", {"\\begin{array}", "\\end{array}", "&", "\\\\", *"{}lcr|"}),
    ],
)
def test_what_a_selection_permits(selection: str, chosen: set[str]) -> None:
    """Words are groups or LaTeX; what a token needs, such as the braces of its argument, comes with it."""
    assert select_tokens(selection, vocabulary=VOCABULARY) == chosen


def test_unknown_tokens_are_named_with_the_nearest() -> None:
    """A misspelt command must not silently forbid the right one."""
    with pytest.raises(LatexifyError, match=r"cannot write ! \(nothing is like it\), \\alfa \(nearest: \\alpha"):
        select_tokens(r"digits ! \alfa", vocabulary=VOCABULARY)


def test_many_unknown_tokens_are_one_line() -> None:
    """A page of names helps nobody."""
    with pytest.raises(LatexifyError, match=r"and 2 more$"):
        select_tokens("PQRSTUV", vocabulary=VOCABULARY)


@pytest.mark.parametrize(
    ("selection", "message"), [("", "no symbols"), ("  ", "no symbols"), ("digits", "none of the")]
)
def test_a_selection_of_nothing_is_refused(selection: str, message: str) -> None:
    """Every answer would be empty."""
    with pytest.raises(LatexifyError, match=message):
        select_tokens(selection, vocabulary={"a", "b"})
