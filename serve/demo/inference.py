"""Reads for every visitor of the page: drawing in the visitor's thread, the model in one thread of its own."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from latexify.serve.http.drawing import draw_item
from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.limits import Limits
from latexify.serve.http.requests import JSON, RequestItem, parse_request
from latexify.serve.recognizer import Picture, Recognition, Recognizer
from latexify.trainer.inference.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read. picture: as the model saw it."""

    picture: Picture
    recognition: Recognition


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Why nothing was, in one line for the visitor."""

    reason: str


class SharedRecognizer:
    """A model that many visitors read with. Safe to share between threads."""

    def __init__(self, model: Path, *, device: str | None, runtime: Runtime | None, threads: int) -> None:
        """Load the model folder `model`. device, runtime: as in `Recognizer`. threads: of the runtime, on the CPU.

        Raises LatexifyError where there is no whole model, or the device or the runtime cannot be used.
        """
        # torch keeps the number of its threads for each thread that calls it
        self._thread = ThreadPoolExecutor(1, "model")
        load = partial(Recognizer, model, device=device, runtime=runtime, num_threads=threads)
        self._recognizer = self._thread.submit(load).result()
        self.limits = Limits()
        # the first picture takes longer than all others, so it is not a visitor's
        self._read(self._recognizer.draw([[[0, 0], [1, 1]]]), num_beams=1)

    @property
    def canvas_px(self) -> tuple[int, int]:
        """Width and height of what the model sees."""
        return self._recognizer.canvas.width_px, self._recognizer.canvas.height_px

    def read_ink(self, json: str, *, num_beams: int) -> Seen | Unread:
        """Read strokes that a browser sent: ``{"strokes": [[[x, y], …], …]}``, held to the limits of the service."""
        try:
            body = json.encode("utf-8", "surrogatepass")
            if len(body) > self.limits.max_ink_bytes:
                return Unread(reason="there is too much ink on the sheet: clear it and write less")
            items = parse_request(body, content_type=JSON, limits=self.limits).items
        except HttpError as refusal:
            return Unread(reason=str(refusal))
        return self.read(items[0], num_beams=num_beams)

    def read_file(self, data: bytes, *, num_beams: int) -> Seen | Unread:
        """Read the content of an InkML or image file, held to the limits of the service."""
        if len(data) > self.limits.max_body_bytes:
            return Unread(reason=f"it has more than {self.limits.max_body_bytes // 1_000_000} MB: make it smaller")
        return self.read(RequestItem(file=data), num_beams=num_beams)

    def read(self, item: RequestItem, *, num_beams: int) -> Seen | Unread:
        """Read one ink or image. num_beams: beginnings that the search follows, as many readings at the most."""
        try:
            picture = draw_item(item, recognizer=self._recognizer, limits=self.limits)
        except HttpError as refusal:
            return Unread(reason=str(refusal))
        return Seen(picture=picture, recognition=self._read(picture, num_beams=num_beams))

    def _read(self, picture: Picture, *, num_beams: int) -> Recognition:
        work = self._thread.submit(partial(self._recognizer.read, [picture], num_beams=num_beams))
        return work.result()[0]
