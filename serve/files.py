"""The files that a command line names: list them, and recognise each or say why not, in their order."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

from latexify.common.errors import LatexifyError
from latexify.common.extras import missing_extra
from latexify.pipeline.config import LABEL_ANNOTATIONS
from latexify.pipeline.image.formats import picture_suffixes
from latexify.pipeline.inputs.walk import is_hidden, walk_files
from latexify.pipeline.strokes.ink_file import holds_ink, looks_like_ink
from latexify.serve.formats.formats import Format
from latexify.serve.recognizer import Picture, Recognition, Recognizer, read_ink

STDIN = "-"
MAX_FILE_BYTES = 200_000_000  # larger than any photo or ink. Files are read whole, so they must fit into memory.
INK_SUFFIXES = (".excalidraw", ".inkml")
"""Suffixes of ink files that are taken from a folder, besides those of pictures."""
HEIF_SUFFIXES = {".heic", ".heif"}
"""Suffixes of pictures that are taken if the extra `heic` is installed."""
BY_CONTENT = (".json", ".svg", ".xml")
"""Suffixes of files that are taken if they hold an ink."""
DOUBTFUL = 0.2
"""Answers of less confidence are named: by the calibration, four of five of them are wrong. Pages of print, code and
charts get up to 0.17."""
CHUNK_SIZES = (1, 4, 16, 64)
"""Files that are drawn before the first of them is answered: few at first, so that answers come at once, and later
enough to sort by length. The last size stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files to recognise, and those of folders that are left out."""

    names: list[str]
    others: Mapping[str, int]  # number of files of other kinds, by suffix; hidden ones do not count

    def notice(self) -> str:
        """Say in one line what is left out; empty if nothing is."""
        kinds = ", ".join(f"{suffix} ({count:,})" for suffix, count in sorted(self.others.items()))
        notice = f"files of other kinds are left out: {kinds}" if kinds else ""
        if HEIF_SUFFIXES & self.others.keys():
            notice += f"; {missing_extra('heic', package='pillow-heif', needed_by='HEIC')}"
        return notice


def list_sources(paths: Sequence[str]) -> Sources:
    """List the files named, and of folders those that hold inks and images, at any depth, sorted; links are followed.

    A folder without such files is listed itself; reading it raises the error. Raises LatexifyError for an empty name.
    """
    if "" in paths:
        raise LatexifyError("a file name is empty: is a variable unset? `.` is the current folder")
    names: list[str] = []
    others: Counter[str] = Counter()
    for path in paths:
        inside = walk_files(Path(path)) if Path(path).is_dir() else []
        shown = [Path(path, name) for name in inside if not is_hidden(name)]
        taken = [file for file in shown if is_taken(file)]
        others += Counter(file.suffix.lower() or file.name for file in {*shown} - {*taken})
        names += map(str, taken) if taken else [path]
    return Sources(names=names, others=dict(others))


def is_taken(file: Path) -> bool:
    """Whether a file of a folder is to be recognised."""
    suffix = file.suffix.lower()
    if suffix in HEIF_SUFFIXES:
        return find_spec("pillow_heif") is not None
    if suffix not in BY_CONTENT:
        return suffix in INK_SUFFIXES or suffix in picture_suffixes()
    try:
        with file.open("rb") as opened:
            return holds_ink(opened.read(MAX_FILE_BYTES))
    except OSError:
        return True  # the error is reported when its turn comes


@dataclass(frozen=True, slots=True, kw_only=True)
class FileAnswer:
    """The answer for a file."""

    name: str
    picture: Picture  # what the model saw
    label: str | None  # that an ink has, as it is in the file
    left_out: Mapping[str, int]  # elements of an ink file that are no strokes, by kind
    recognition: Recognition
    is_calibrated: bool
    elapsed_s: float  # time to read, draw and recognise it

    @property
    def is_doubtful(self) -> bool:
        """Whether the answer is probably wrong, as for a page of print. Without calibration nobody knows."""
        return self.is_calibrated and self.recognition.confidence < DOUBTFUL

    def to_dict(self, *, formats: Sequence[Format] = ()) -> dict[str, Any]:
        """Return plain JSON values, as `latexify recognize --json` prints them."""
        answer = self.recognition.to_answer(is_calibrated=self.is_calibrated, formats=formats)
        reference = {} if self.label is None else {"reference": self.label}
        return {"file": self.name, **reference, **answer, "seconds": round(self.elapsed_s, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFailure:
    """Why a file has no answer."""

    name: str
    reason: str


def answer_files(
    recognizer: Recognizer,
    names: Iterable[str],
    *,
    num_beams: int = 1,
    num_drawings: int = 1,
    only: str | None = None,
) -> Iterator[FileAnswer | FileFailure]:
    """Recognise files, a chunk at a time; one that cannot be read does not stop the others.

    Raises LatexifyError if `only` does not suit the model, see `Recognizer.read`.
    """
    recognizer.constraint(only)
    remaining, sizes = iter(names), chain(CHUNK_SIZES, repeat(CHUNK_SIZES[-1]))
    while chunk := list(islice(remaining, next(sizes))):
        drawn = [_draw(recognizer, name) for name in chunk]
        pictures = [drawing.picture for drawing in drawn if isinstance(drawing, _Drawing)]
        recognitions = iter(recognizer.read(pictures, num_beams=num_beams, num_drawings=num_drawings, only=only))
        for name, drawing in zip(chunk, drawn, strict=True):
            if isinstance(drawing, LatexifyError):
                yield FileFailure(name=name, reason=str(drawing))
                continue
            recognition = next(recognitions)
            yield FileAnswer(
                name=name,
                picture=drawing.picture,
                label=drawing.label,
                left_out=drawing.left_out,
                recognition=recognition,
                is_calibrated=recognizer.is_calibrated,
                elapsed_s=drawing.elapsed_s + recognition.elapsed_s,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """What was made of a file, and how long it took."""

    picture: Picture
    label: str | None
    left_out: Mapping[str, int]
    elapsed_s: float


def _draw(recognizer: Recognizer, name: str) -> _Drawing | LatexifyError:
    """Return the picture of a file, or what is wrong with it."""
    started = time.perf_counter()
    label, left_out = None, {}
    try:
        data = _read(name)
        if looks_like_ink(data):
            ink = read_ink(data)
            label = next((ink.annotations[kind] for kind in LABEL_ANNOTATIONS if kind in ink.annotations), None)
            picture, left_out = recognizer.draw(ink.strokes), dict(ink.left_out)
        else:
            picture = recognizer.picture_of(data)
    except LatexifyError as error:
        return error
    return _Drawing(picture=picture, label=label, left_out=left_out, elapsed_s=time.perf_counter() - started)


def _read(name: str) -> bytes:
    """Return the content of a file, `-` for stdin. Raises LatexifyError if it cannot be read or is too large."""
    if name != STDIN and Path(name).is_dir():
        raise LatexifyError("the folder holds neither inks nor images")
    if "://" in name and not Path(name).exists():
        raise LatexifyError("addresses are not fetched: download the file, and name it")
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
