"""The commands `clip` and `watch`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.handwriting import encoded, ink, inkml
from tests.support.repository import REPOSITORY

PNG = encoded(255 - 255 * ink())


def test_clip_without_a_desktop_is_one_line() -> None:
    """On a server, or in a terminal of another machine."""
    environment = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    command = [sys.executable, "-m", "latexify", "clip"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("latexify: there is no clipboard here")
    assert done.stderr.count("\n") == 1


def test_the_command_prints_a_line_for_each(tmp_path: Path) -> None:
    """Also where a file cannot be read; Ctrl-C ends it without a traceback."""
    command = [sys.executable, "-m", "latexify", "watch", str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # a job in the background of a script ignores Ctrl-C, and so would its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, cwd=REPOSITORY, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stderr.readline() == f"latexify: watching {tmp_path}\n"
            (tmp_path / "bad.png").write_bytes(PNG[:200])
            assert process.stderr.readline().startswith(f"latexify: {tmp_path / 'bad.png'}: ")
            (tmp_path / "a.inkml").write_bytes(inkml())
            name, _, latex = process.stdout.readline().rstrip("\n").partition("\t")
            assert (name, latex != "") == (str(tmp_path / "a.inkml"), True)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=120) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()
