"""Texts of errors of other libraries fit on one line."""

import pytest

from latexify.common.errors import first_line, one_line


@pytest.mark.parametrize(
    ("error", "line", "first"),
    [
        (ValueError("a\n  b\tc."), "a b c.", "a"),
        (ValueError("one."), "one.", "one"),
        (ValueError(), "ValueError", "ValueError"),
    ],
)
def test_an_error_becomes_a_line(error: Exception, line: str, first: str) -> None:
    """The command line prints one line, and an empty one would say nothing."""
    assert one_line(error) == line
    assert first_line(error) == first
