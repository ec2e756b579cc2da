"""Which files a command line names, and their contents, one at a time."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latexify.common.errors import LatexifyError

STDIN = "-"

MAX_FILE_BYTES = 200_000_000
"""More than any photo or ink; read whole, so that it must fit into memory."""

SUFFIXES = (
    ".avif",
    ".bmp",
    ".gif",
    ".inkml",
    ".jp2",
    ".jpeg",
    ".jpg",
    ".pbm",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
"""Of the files that are taken from a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file to read. name: as a person wrote it, or the folder's name and the file's place in it."""

    name: str

    def read(self) -> bytes:
        """The content. Raises LatexifyError where it cannot be read, or is too large."""
        if self.name != STDIN and Path(self.name).is_dir():
            raise LatexifyError("the folder holds neither InkML nor images")
        try:
            if self.name == STDIN:
                data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
            else:
                with Path(self.name).open("rb") as file:
                    data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise LatexifyError(f"it cannot be read ({error.strerror})") from None
        if len(data) > MAX_FILE_BYTES:
            raise LatexifyError(f"it has more than {MAX_FILE_BYTES // 1_000_000} MB: is it a picture or an ink?")
        return data


def list_sources(paths: Sequence[str]) -> Iterator[Source]:
    """The files named; of folders, those of `SUFFIXES` in and below them, by name.

    A folder without any is a source too: reading it says what is wrong with it.
    """
    for path in paths:
        inside = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        yield from (Source(name=str(file)) for file in inside)
        if not inside:
            yield Source(name=path)
