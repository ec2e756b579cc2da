"""Recognise many files: an answer or the reason of a failure for each, in their order."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from latexify.common.errors import LatexifyError
from latexify.serve.files import Source
from latexify.serve.recognizer import Picture, Recognition, Recognizer

CHUNK_SIZE = 64  # files that are drawn before the first of them is answered: enough to sort by length, and a short wait


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer:
    """The answer for a file.

    Attributes:
        name: As in `Source`.
        picture: What the model saw.
        recognition: LaTeX and confidence.
        is_calibrated: See `Recognizer`.
        elapsed_s: Time to read, draw and recognise it.
    """

    name: str
    picture: Picture
    recognition: Recognition
    is_calibrated: bool
    elapsed_s: float

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
    recognizer: Recognizer, sources: Iterable[Source], *, num_beams: int = 1
) -> Iterator[FileAnswer | FileFailure]:
    """Recognise files, a chunk at a time; one that cannot be read does not stop the others."""
    remaining = iter(sources)
    while chunk := list(islice(remaining, CHUNK_SIZE)):
        drawn = [_draw(recognizer, source) for source in chunk]
        pictures = [picture for picture, _ in drawn if not isinstance(picture, LatexifyError)]
        recognitions = iter(recognizer.read(pictures, num_beams=num_beams))
        for source, (picture, elapsed_s) in zip(chunk, drawn, strict=True):
            if isinstance(picture, LatexifyError):
                yield FileFailure(name=source.name, reason=str(picture))
                continue
            recognition = next(recognitions)
            yield FileAnswer(
                name=source.name,
                picture=picture,
                recognition=recognition,
                is_calibrated=recognizer.is_calibrated,
                elapsed_s=elapsed_s + recognition.elapsed_s,
            )


def _draw(recognizer: Recognizer, source: Source) -> tuple[Picture | LatexifyError, float]:
    """Return the picture of a file, or what is wrong with it, and the seconds that it took."""
    started = time.perf_counter()
    try:
        picture: Picture | LatexifyError = recognizer.picture_of(source.read())
    except LatexifyError as error:
        picture = error
    return picture, time.perf_counter() - started
