"""The files that a command line names, and their content."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from latexify.common.errors import LatexifyError

STDIN = "-"
MAX_FILE_BYTES = 200_000_000  # larger than any photo or ink. Files are read whole, so they must fit into memory.
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".inkml", ".jp2", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)
"""Suffixes of the files that are taken from a folder."""


def read_source(name: str) -> bytes:
    """Return the content of a file, `-` for stdin. Raises LatexifyError if it cannot be read or is too large."""
    if name != STDIN and Path(name).is_dir():
        raise LatexifyError("the folder holds neither InkML nor images")
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with Path(name).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise LatexifyError(f"it cannot be read ({error.strerror})") from None
    if len(data) > MAX_FILE_BYTES:
        raise LatexifyError(f"it is larger than {MAX_FILE_BYTES // 1_000_000} MB: is it an image or an ink?")
    return data


def list_sources(paths: Sequence[str]) -> Iterator[str]:
    """Yield the files named, and for folders the paths of the files with `SUFFIXES` at any depth, sorted.

    A folder without such files is yielded, too; reading it raises the error.
    """
    for path in paths:
        inside = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        yield from map(str, inside) if inside else [path]
