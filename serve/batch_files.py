"""Recognise many files: an answer or the reason of a failure for each, in their order."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from latexify.common.errors import LatexifyError
from latexify.serve.files import read_source
from latexify.serve.recognizer import Picture, Recognition, Recognizer

CHUNK_SIZE = 64  # files that are drawn before the first of them is answered: enough to sort by length, and a short wait


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer:
    """The answer for a file."""

    name: str
    picture: Picture  # what the model saw
    recognition: Recognition
    is_calibrated: bool
    elapsed_s: float  # time to read, draw and recognise it

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, as `latexify recognize --json` prints them."""
        answer = self.recognition.to_answer(is_calibrated=self.is_calibrated)
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
        picture: Picture | LatexifyError = recognizer.picture_of(read_source(name))
    except LatexifyError as error:
        picture = error
    return picture, time.perf_counter() - started
