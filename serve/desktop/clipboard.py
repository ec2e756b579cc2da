"""The clipboard of a desktop, through the programs that each has for it: a picture out, text in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from latexify.common.errors import LatexifyError

TIMEOUT_S = 10
PNG = "image/png"
_APPLESCRIPT = "the clipboard as «class PNGf»"


@dataclass(frozen=True, kw_only=True)
class Clipboard:
    """Programs that read and write the clipboard.

    `kinds`: prints the media types of the content, one a line; None: `read_picture` fails if there is no picture.
    `decode`: what the output of `read_picture` is to be put through.
    """

    kinds: Sequence[str] | None
    read_picture: Callable[[str], Sequence[str]]  # of a media type
    write_text: Sequence[str]  # takes the text on its standard input
    decode: Callable[[bytes], bytes] = bytes


def find_clipboard(environment: Mapping[str, str] = os.environ, *, platform: str = sys.platform) -> Clipboard:
    """Choose the programs for this desktop: Wayland's, X11's or macOS'.

    Raises LatexifyError if there is no desktop, or its program is not installed.
    """
    path = environment.get("PATH")
    if platform == "darwin":
        if shutil.which("pngpaste", path=path):
            return Clipboard(kinds=None, read_picture=lambda _: ["pngpaste", "-"], write_text=["pbcopy"])
        script = ["osascript", "-e", _APPLESCRIPT]
        return Clipboard(kinds=None, read_picture=lambda _: script, write_text=["pbcopy"], decode=_from_applescript)
    if environment.get("WAYLAND_DISPLAY"):
        _require("wl-paste", path=path, package="wl-clipboard")
        return Clipboard(
            kinds=["wl-paste", "--list-types"],
            read_picture=lambda kind: ["wl-paste", "--type", kind],
            write_text=["wl-copy"],
        )
    if environment.get("DISPLAY"):
        _require("xclip", path=path, package="xclip")
        xclip = ["xclip", "-selection", "clipboard"]
        return Clipboard(
            kinds=[*xclip, "-o", "-t", "TARGETS"],
            read_picture=lambda kind: [*xclip, "-o", "-t", kind],
            write_text=[*xclip, "-i"],
        )
    raise LatexifyError(
        "there is no clipboard here (neither WAYLAND_DISPLAY nor DISPLAY is set): save the picture, and run "
        "`latexify recognize FILE`"
    )


def _require(program: str, *, path: str | None, package: str) -> None:
    if shutil.which(program, path=path) is None:
        raise LatexifyError(f"{program} is not installed, which reads the clipboard: install the package {package}")


def read_picture(clipboard: Clipboard) -> bytes:
    """Return the picture in the clipboard, as the content of an image file. Raises LatexifyError if there is none."""
    kind = PNG
    if clipboard.kinds is not None:
        kinds = _run(clipboard.kinds).decode("utf-8", "replace").split()
        pictures = [found for found in kinds if found.startswith("image/")]
        if not pictures:
            others = ", ".join(found for found in kinds if "/" in found)[:80] or "nothing"
            raise LatexifyError(f"there is no picture in the clipboard, it holds {others}: copy a screenshot first")
        kind = PNG if PNG in pictures else pictures[0]
    data = clipboard.decode(_run(clipboard.read_picture(kind)))
    if not data:
        raise LatexifyError("there is no picture in the clipboard: copy a screenshot first")
    return data


def write_text(clipboard: Clipboard, text: str) -> None:
    """Put a text into the clipboard. Raises LatexifyError if that fails."""
    # the program stays in the background for as long as it owns the clipboard, with what it was given as its output
    command = clipboard.write_text
    try:
        subprocess.run(  # noqa: S603  # a program of the table above
            command,
            input=text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LatexifyError(f"{command[0]} could not write to the clipboard ({error})") from None


def _run(command: Sequence[str]) -> bytes:
    """Return the output of a program; empty if it fails, as they do if the clipboard is empty."""
    try:
        return subprocess.run(  # noqa: S603  # a program of the table above
            command, capture_output=True, check=False, timeout=TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise LatexifyError(f"{command[0]} could not read the clipboard ({error})") from None


def _from_applescript(output: bytes) -> bytes:
    """Return the bytes that AppleScript prints as ``«data PNGf89504E…»``."""
    digits = output.decode("utf-8", "replace").partition("PNGf")[2].strip().rstrip("»")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b""
