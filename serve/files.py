"""The files that a command line names: list them, and recognise each or say why not, in their order."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from latexify.common.errors import LatexifyError
from latexify.serve.formats.formats import Format
from latexify.serve.recognizer import Picture, Recognition, Recognizer

STDIN = "-"
MAX_FILE_BYTES = 200_000_000  # larger than any photo or ink. Files are read whole, so they must fit into memory.
SUFFIXES = (
    *(".avif", ".bmp", ".gif", ".inkml", ".jp2", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)
"""Suffixes of the files that are taken from a folder."""
CHUNK_SIZE = 64  # files that are drawn before the first of them is answered: enough to sort by length, and a short wait


def list_sources(paths: Sequence[str]) -> Iterator[str]:
    """Yield the files named, and for folders the paths of the files with `SUFFIXES` at any depth, sorted.

    A folder without such files is yielded, too; reading it raises the error.
    """
    for path in paths:
        inside = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        yield from map(str, inside) if inside else [path]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer:
    """The answer for a file."""

    name: str
    picture: Picture  # what the model saw
    recognition: Recognition
    is_calibrated: bool
    elapsed_s: float  # time to read, draw and recognise it

    def to_dict(self, *, formats: Sequence[Format] = ()) -> dict[str, Any]:
        """Return plain JSON values, as `latexify recognize --json` prints them."""
        answer = self.recognition.to_answer(is_calibrated=self.is_calibrated, formats=formats)
        return {"file": self.name, **answer, "seconds": round(self.elapsed_s, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFailure:
    """Why a file has no answer."""

    name: str
    reason: str


def answer_files(
    recognizer: Recognizer, names: Iterable[str], *, num_beams: int = 1
) -> Iterator[FileAnswer | FileFailure]:
    """Recognise files, a chunk at a time; one that cannot be read does not stop the others."""
    remaining = iter(names)
    while chunk := list(islice(remaining, CHUNK_SIZE)):
        drawn = [_draw(recognizer, name) for name in chunk]
        pictures = [picture for picture, _ in drawn if not isinstance(picture, LatexifyError)]
        recognitions = iter(recognizer.read(pictures, num_beams=num_beams))
        for name, (picture, elapsed_s) in zip(chunk, drawn, strict=True):
            if isinstance(picture, LatexifyError):
                yield FileFailure(name=name, reason=str(picture))
                continue
            recognition = next(recognitions)
            yield FileAnswer(
                name=name,
                picture=picture,
                recognition=recognition,
                is_calibrated=recognizer.is_calibrated,
                elapsed_s=elapsed_s + recognition.elapsed_s,
            )


def _draw(recognizer: Recognizer, name: str) -> tuple[Picture | LatexifyError, float]:
    """Return the picture of a file, or what is wrong with it, and the seconds that it took."""
    started = time.perf_counter()
    try:
        picture: Picture | LatexifyError = recognizer.picture_of(_read(name))
    except LatexifyError as error:
        picture = error
    return picture, time.perf_counter() - started


def _read(name: str) -> bytes:
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
