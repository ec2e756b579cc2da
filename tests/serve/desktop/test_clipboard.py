"""The clipboard of each desktop, by programs of the same names that answer as those do; and X11's own, if installed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.serve.desktop.clipboard import find_clipboard, read_picture, write_text
from tests.support.handwriting import encoded, ink

PNG = encoded(255 - 255 * ink())


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, the first of the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (tmp_path / "content.png").write_bytes(PNG)
    return folder


def program(folder: Path, name: str, script: str) -> None:
    """Write a program of the shell; its folder's parent holds `content.png`, and takes `written.txt`."""
    path = folder / name
    path.write_text(f'#!/bin/sh\ncd "{folder.parent}"\n{script}\n', encoding="utf-8")
    path.chmod(0o755)


def test_wayland(bin_folder: Path) -> None:
    """PNG is preferred to other pictures."""
    program(
        bin_folder,
        "wl-paste",
        'case "$*" in --list-types) printf "text/html\\nimage/bmp\\nimage/png\\n";;\n'
        '"--type image/png") cat content.png;; esac',
    )
    program(bin_folder, "wl-copy", "cat > written.txt")
    clipboard = find_clipboard({"PATH": os.environ["PATH"], "WAYLAND_DISPLAY": "wayland-0"}, platform="linux")
    assert read_picture(clipboard) == PNG
    write_text(clipboard, r"\frac{a}{b}")
    assert (bin_folder.parent / "written.txt").read_text(encoding="utf-8") == r"\frac{a}{b}"


def test_x11_without_a_picture(bin_folder: Path) -> None:
    """The line says what is there instead."""
    program(bin_folder, "xclip", 'printf "TARGETS\\nUTF8_STRING\\ntext/plain\\n"')
    clipboard = find_clipboard({"PATH": os.environ["PATH"], "DISPLAY": ":0"}, platform="linux")
    with pytest.raises(LatexifyError, match="no picture in the clipboard, it holds text/plain: copy a screenshot"):
        read_picture(clipboard)


def test_macos_without_pngpaste(bin_folder: Path) -> None:
    """AppleScript prints the picture in hexadecimal digits."""
    hexadecimal = PNG.hex().upper()
    (bin_folder.parent / "printed.txt").write_text(f"«data PNGf{hexadecimal}»\n", encoding="utf-8")
    program(bin_folder, "osascript", "cat printed.txt")
    clipboard = find_clipboard({"PATH": os.environ["PATH"]}, platform="darwin")
    assert read_picture(clipboard) == PNG
    program(bin_folder, "osascript", "echo 'execution error: no such data into the expected type.' >&2; exit 1")
    with pytest.raises(LatexifyError, match="no picture in the clipboard"):
        read_picture(clipboard)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "there is no clipboard here"),
        ({"DISPLAY": ":0"}, "xclip is not installed"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "install the package wl-clipboard"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path: Path, environment: dict[str, str], message: str) -> None:
    """On a server, or a desktop without the program."""
    with pytest.raises(LatexifyError, match=message) as caught:
        find_clipboard({"PATH": str(tmp_path), **environment}, platform="linux")
    assert "\n" not in str(caught.value)


def test_a_program_that_fails_is_one_line(bin_folder: Path) -> None:
    """Such as wl-copy without a compositor."""
    program(bin_folder, "wl-paste", "exit 1")
    program(bin_folder, "wl-copy", "cat > /dev/null; exit 1")
    clipboard = find_clipboard({"PATH": os.environ["PATH"], "WAYLAND_DISPLAY": "wayland-0"}, platform="linux")
    with pytest.raises(LatexifyError, match="it holds nothing"):
        read_picture(clipboard)
    with pytest.raises(LatexifyError, match="wl-copy could not write to the clipboard"):
        write_text(clipboard, "x")


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An X server without a screen."""
    if shutil.which("Xvfb") is None or shutil.which("xclip") is None:
        pytest.skip("Xvfb or xclip is not installed: the clipboard of X11 is not tested")
    name = ":97"
    with subprocess.Popen(["Xvfb", name], stderr=subprocess.DEVNULL) as server:
        try:
            while not Path("/tmp/.X11-unix/X97").exists():  # noqa: S108  # X's own place
                assert server.poll() is None
                time.sleep(0.05)
            monkeypatch.setenv("DISPLAY", name)
            monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
            yield name
        finally:
            server.terminate()


def test_a_picture_in_and_latex_out_of_x11(display: str, tmp_path: Path, repository: Path) -> None:
    """`latexify clip`, with the clipboard that a person has."""
    (tmp_path / "a.png").write_bytes(PNG)
    subprocess.run(
        ["xclip", "-selection", "clipboard", "-t", "image/png", "-i", tmp_path / "a.png"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    command = [sys.executable, "-m", "latexify", "clip"]
    environment = {**os.environ, "DISPLAY": display}
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = subprocess.run(["xclip", "-selection", "clipboard", "-o"], capture_output=True, text=True, check=True).stdout
    assert text == done.stdout.removesuffix("\n") != ""
    again = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr.startswith("latexify: there is no picture in the clipboard")
