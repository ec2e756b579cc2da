"""Many files through the recogniser: an answer or a reason for each, in their order."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from latexify.common.errors import LatexifyError
from latexify.serve.files import Source
from latexify.serve.recognizer import Picture, Recognition, Recognizer

AT_ONCE = 64
"""Files that are drawn before the first of them is answered: enough to sort by length, little to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a file says.

    picture: as the model saw it. is_calibrated: whether confidences say how many of such answers are right. elapsed_s:
    for reading, drawing and recognising it.
    """

    name: str
    picture: Picture
    recognition: Recognition
    is_calibrated: bool
    elapsed_s: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: what `latexify recognize --json` prints."""
        best = self.recognition
        return {
            "file": self.name,
            "latex": best.latex,
            "confidence": round(best.confidence, 4),
            "calibrated": self.is_calibrated,
            "alternatives": [
                {"latex": other.latex, "confidence": round(other.confidence, 4)} for other in best.alternatives
            ],
            "seconds": round(self.elapsed_s, 4),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a file has no answer."""

    name: str
    reason: str


def answer_files(
    recognizer: Recognizer, sources: Iterable[Source], *, num_beams: int = 1
) -> Iterator[Answer | Failure]:
    """Recognise files, some at a time; one that cannot be read does not stop the others."""
    remaining = iter(sources)
    while chunk := list(islice(remaining, AT_ONCE)):
        drawn = [_draw(recognizer, source) for source in chunk]
        pictures = [picture for picture, _ in drawn if not isinstance(picture, LatexifyError)]
        recognitions = iter(recognizer.read(pictures, num_beams=num_beams))
        for source, (picture, elapsed_s) in zip(chunk, drawn, strict=True):
            if isinstance(picture, LatexifyError):
                yield Failure(name=source.name, reason=str(picture))
                continue
            recognition = next(recognitions)
            yield Answer(
                name=source.name,
                picture=picture,
                recognition=recognition,
                is_calibrated=recognizer.is_calibrated,
                elapsed_s=elapsed_s + recognition.elapsed_s,
            )


def _draw(recognizer: Recognizer, source: Source) -> tuple[Picture | LatexifyError, float]:
    """The picture of a file, or what is wrong with it, and the seconds that it took."""
    started = time.perf_counter()
    try:
        found: Picture | LatexifyError = recognizer.picture_of(source.read())
    except LatexifyError as error:
        found = error
    return found, time.perf_counter() - started
