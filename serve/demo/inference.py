"""Recognition for all visitors: drawing in the visitor's thread, the model in a thread of its own."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from latexify.serve.http.api.requests import JSON, RequestItem, parse_request
from latexify.serve.http.drawing import draw_item
from latexify.serve.http.http_errors import HttpError
from latexify.serve.http.limits import Limits
from latexify.serve.recognizer import Picture, Recognition, Recognizer
from latexify.trainer.inference.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """A recognition, the picture that the model received, and what was left out of the file, by kind."""

    picture: Picture
    recognition: Recognition
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFailure:
    """Why there is no recognition, in one line for the visitor."""

    reason: str


class SharedRecognizer:
    """A model that all visitors use. Safe to share between threads."""

    def __init__(self, model: Path, *, device: str | None, runtime: Runtime | None, threads: int) -> None:
        """Load a model folder as `Recognizer` does, with the same errors."""
        self._thread = ThreadPoolExecutor(1, "model")
        load = partial(Recognizer, model, device=device, runtime=runtime, num_threads=threads)
        self._recognizer = self._thread.submit(load).result()
        self.limits = Limits()
        # the first picture takes longer than all others, so do not leave it to a visitor
        self._recognize(self._recognizer.draw([[[0, 0], [1, 1]]]), num_beams=1)

    @property
    def canvas_px(self) -> tuple[int, int]:
        """Width and height of the model's input."""
        return self._recognizer.canvas.width_px, self._recognizer.canvas.height_px

    @property
    def is_calibrated(self) -> bool:
        """Whether confidences are the fraction of such answers that are right."""
        return self._recognizer.is_calibrated

    def read_ink(
        self, json: str, *, num_beams: int, num_drawings: int = 1
    ) -> DemoResult | DemoFailure | list[DemoResult | DemoFailure]:
        """Recognise strokes from a browser within the limits of the service.

        ``{"strokes": [[[x, y], …], …]}`` is one ink; a list of such objects gives a list of results.
        """
        try:
            body = json.encode("utf-8", "surrogatepass")
            if len(body) > self.limits.max_ink_bytes:
                return DemoFailure(reason="there is too much ink on the sheet: clear it and write less")
            request = parse_request(body, content_type=JSON, limits=self.limits)
        except HttpError as error:
            return DemoFailure(reason=str(error))
        results = [self.read(item, num_beams=num_beams, num_drawings=num_drawings) for item in request.items]
        return results[0] if request.form == "one" else results

    def read_file(self, data: bytes, *, num_beams: int, num_drawings: int = 1) -> DemoResult | DemoFailure:
        """Recognise the content of an InkML or image file, within the limits of the service."""
        if len(data) > self.limits.max_body_bytes:
            max_mb = self.limits.max_body_bytes // 1_000_000
            return DemoFailure(reason=f"the file is larger than {max_mb} MB: make it smaller")
        return self.read(RequestItem(file=data), num_beams=num_beams, num_drawings=num_drawings)

    def read(self, item: RequestItem, *, num_beams: int, num_drawings: int = 1) -> DemoResult | DemoFailure:
        """Recognise one ink or image; a beam width or a number of drawings above 1 also returns alternatives."""
        try:
            drawn = draw_item(item, recognizer=self._recognizer, limits=self.limits)
        except HttpError as error:
            return DemoFailure(reason=str(error))
        recognition = self._recognize(drawn.picture, num_beams=num_beams, num_drawings=num_drawings)
        return DemoResult(picture=drawn.picture, recognition=recognition, left_out=drawn.left_out)

    def _recognize(self, picture: Picture, *, num_beams: int, num_drawings: int = 1) -> Recognition:
        read = partial(self._recognizer.read, [picture], num_beams=num_beams, num_drawings=num_drawings)
        return self._thread.submit(read).result()[0]
