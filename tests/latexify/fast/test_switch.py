"""LATEXIFY_PLAIN turns off the fast paths."""

import pytest

from latexify.fast.switch import VARIABLE, use_plain


@pytest.mark.parametrize(("value", "expected"), [(None, False), ("", False), ("0", False), ("1", True), ("yes", True)])
def test_the_switch_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, *, value: str | None, expected: bool
) -> None:
    """`LATEXIFY_PLAIN=0` must not turn fast paths off."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert use_plain() is expected
