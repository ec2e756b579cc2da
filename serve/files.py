"""The files that a command line names, and their content."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from latexify.common.errors import LatexifyError

STDIN = "-"
MAX_FILE_BYTES = 200_000_000  # larger than any photo or ink. Files are read whole, so they must fit into memory.
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
"""Suffixes of the files that are taken from a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file to read. name: Path as the user wrote it, or the folder's with the path inside it; `-` for stdin."""

    name: str

    def read(self) -> bytes:
        """Return the content. Raises LatexifyError if it cannot be read or is too large."""
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
            raise LatexifyError(f"it is larger than {MAX_FILE_BYTES // 1_000_000} MB: is it an image or an ink?")
        return data


def list_sources(paths: Sequence[str]) -> Iterator[Source]:
    """Yield the files named, and for folders the files with `SUFFIXES` at any depth, sorted by path.

    A folder without such files is a source, too; reading it raises the error.
    """
    for path in paths:
        inside = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        yield from (Source(name=str(file)) for file in inside)
        if not inside:
            yield Source(name=path)
