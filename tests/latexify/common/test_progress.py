"""Progress in pipes is plain lines without control characters."""

import pytest

from latexify.common.progress import Progress


def test_a_pipe_gets_a_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Logs of CI would be full of control characters."""
    with Progress("draw", total=3, unit="inks") as progress:
        progress.advance(2, note="1 rejected")
        progress.message("hello")
    printed = capsys.readouterr().err
    assert printed.startswith("hello\ndraw: 2/3 inks in 0 s, ")
    assert printed.endswith("1 rejected\n")
    assert "\r" not in printed


def test_a_silent_process_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Of several ranks only one reports."""
    with Progress("train", total=None, unit="steps", silent=True) as progress:
        progress.advance()
        progress.message("hello")
    assert capsys.readouterr().err == ""
