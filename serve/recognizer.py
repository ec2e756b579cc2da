"""The recogniser: a model loaded once, inks and pictures of any kind in, LaTeX out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from latexify.artifacts.manifest import MANIFEST_NAME
from latexify.common.errors import LatexifyError
from latexify.common.package_data import MODELS
from latexify.eval.predict.calibration import confidence_of, read_calibration
from latexify.eval.predict.latex_grammar import constraint_for
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.latex import normalize
from latexify.trainer.inference.backend import Engine
from latexify.trainer.inference.onnx.backend import has_cuda
from latexify.trainer.inference.reader import TrainedReader, choose_engine, open_reader
from latexify.trainer.inference.search import Hypothesis
from latexify.trainer.loop.precision import choose_device
from latexify.trainer.model.canvas import MADE_BY

MAX_TOKENS = 256
"""Of an answer; the longest labels of CROHME and MathWriting have about 100."""

BATCH_SIZE = 16
"""Pictures that are read together."""

SHIPPED = MODELS
"""Where the repository keeps trained models."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read an input. latex: normalised (`latexify.pipeline.latex`).

    confidence: 0 to 1, how many of such answers are right, where the model is calibrated. Else it is the geometric mean
    of the probabilities that the model gave its tokens, the end included: for a formula of n tokens the n-th root of
    the probability of the whole. 0 where the model did not come to an end.
    """

    latex: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition(Reading):
    """The best reading, and the others that the search found, best first. elapsed_s: its share of its batch's time."""

    alternatives: list[Reading] = field(default_factory=list)
    elapsed_s: float


class Recognizer:
    """Reads inks and pictures with a trained model, on one device. Safe to share between threads once it is made."""

    def __init__(
        self,
        model: Path,
        *,
        device: str | None = None,
        engine: Engine | None = None,
        constrained: bool | None = None,
    ) -> None:
        """Load the model folder `model`.

        device: torch's name, such as `cpu`; the best one that the engine knows if not given. engine: what computes, see
        `latexify.trainer.inference.reader.choose_engine`. constrained: whether answers are kept to well-formed LaTeX; None: where
        the model's tokens are LaTeX's.

        Raises LatexifyError where there is no whole model, the device or the engine cannot be used, or there is nothing
        to constrain.
        """
        self.engine = choose_engine(model, engine)
        if device is None and self.engine == "onnx" and not has_cuda():
            device = "cpu"
        self._trained: TrainedReader = open_reader(model, device=choose_device(device), engine=self.engine)
        self._constraint = None if constrained is False else constraint_for(model)
        if constrained and self._constraint is None:
            raise LatexifyError(
                f"the tokens of {model} are pieces of text, not of LaTeX: it cannot be kept to well-formed LaTeX; "
                "leave --constrained out"
            )
        self._calibration = read_calibration(model, fingerprint=self._trained.manifest.fingerprint)
        geometry = self._trained.geometry
        self.canvas = Canvas(
            height_px=geometry.height_px,
            width_px=geometry.width_px,
            margin_px=geometry.margin_px,
            pen_width_px=geometry.pen_width_px,
            max_stroke_px=geometry.max_stroke_px,
        )

    @property
    def is_calibrated(self) -> bool:
        """Whether confidences say how many of such answers are right."""
        return self._calibration is not None

    def draw(self, strokes: Sequence[npt.ArrayLike]) -> Picture:
        """The picture of an ink: uint8 [height, width] of the canvas, ink 0, paper 255.

        strokes: each [num_points, 2], x to the right, y downward, in any units. Raises LatexifyError where there is
        nothing to draw, or a stroke has another shape.
        """
        return draw_ink([_as_stroke(stroke, number) for number, stroke in enumerate(strokes)], self.canvas)

    def picture_of(self, data: bytes) -> Picture:
        """The picture of a file's content, InkML or an image of any kind; see :meth:`draw`.

        Raises LatexifyError where it is neither, empty, damaged or too large.
        """
        # the parsers load only where they are needed
        if looks_like_markup(data):
            from latexify.serve.inks import strokes_of  # noqa: PLC0415

            return self.draw(strokes_of(data))
        from latexify.serve.image.trace import picture_of  # noqa: PLC0415

        return picture_of(data, self.canvas)

    def read(self, pictures: Sequence[Picture], *, num_beams: int = 1) -> list[Recognition]:
        """Read pictures of :meth:`draw` or :meth:`picture_of`: a recognition of each, in their order.

        num_beams: beginnings that the search follows; 1 is greedy, the fastest, and knows no alternatives.
        """
        # the more ink, the longer the formula, roughly; a batch goes on until its longest is read
        order = sorted(range(len(pictures)), key=lambda place: np.count_nonzero(pictures[place] < 128))
        found: list[Recognition | None] = [None] * len(pictures)
        for start in range(0, len(order), BATCH_SIZE):
            places = order[start : start + BATCH_SIZE]
            for place, recognition in zip(
                places, self._read_batch([pictures[i] for i in places], num_beams), strict=True
            ):
                found[place] = recognition
        return [recognition for recognition in found if recognition is not None]

    def _read_batch(self, pictures: list[Picture], num_beams: int) -> list[Recognition]:
        started = time.perf_counter()
        pixels = torch.from_numpy(np.stack(pictures))
        found = self._trained.reader.read(
            pixels, max_tokens=MAX_TOKENS, num_beams=num_beams, num_best=num_beams, constraint=self._constraint
        )
        readings = [self._readings(hypotheses) for hypotheses in found]
        elapsed_s = (time.perf_counter() - started) / len(pictures)
        return [
            Recognition(latex=best.latex, confidence=best.confidence, alternatives=others, elapsed_s=elapsed_s)
            for best, *others in readings
        ]

    def _readings(self, hypotheses: list[Hypothesis]) -> list[Reading]:
        """The hypotheses as LaTeX, the likelier of those that are the same formula."""
        texts = self._trained.texts([hypothesis.ids for hypothesis in hypotheses])
        readings: dict[str, Reading] = {}
        for text, hypothesis in zip(texts, hypotheses, strict=True):
            latex = normalize(text)
            confidence = confidence_of(
                hypothesis.confidence, finished=hypothesis.finished, calibration=self._calibration
            )
            readings.setdefault(latex, Reading(latex=latex, confidence=confidence))
        return list(readings.values())


def _as_stroke(points: npt.ArrayLike, number: int) -> Stroke:
    """Raises LatexifyError where the points are no pairs of numbers."""
    try:
        stroke = np.asarray(points, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise LatexifyError(f"stroke {number} holds something else than pairs of numbers ({error})") from None
    if stroke.size and (stroke.ndim != 2 or stroke.shape[1] != 2):
        raise LatexifyError(f"stroke {number} has the shape {list(stroke.shape)}, points by two coordinates are needed")
    return stroke


def looks_like_markup(data: bytes) -> bool:
    """Whether a file's content begins like XML, in UTF-8 or UTF-16, or is empty."""
    beginning = data[:256].removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip(b"\xff\xfe \t\r\n")
    return beginning[:1] in {b"<", b""}


def default_model(*, trained_here: Path) -> Path:
    """The model that comes with the project, or the one trained here where none does.

    Raises LatexifyError where there is neither, or more than one to choose from.
    """
    shipped = sorted(path.parent for path in SHIPPED.glob(f"*/{MANIFEST_NAME}"))
    if len(shipped) > 1:
        raise LatexifyError(f"there are several models ({', '.join(map(str, shipped))}): choose one by --model")
    if shipped:
        return shipped[0]
    if (trained_here / MANIFEST_NAME).is_file():
        return trained_here
    raise LatexifyError(
        f"there is no model, neither in {SHIPPED} nor in {trained_here}: name one by --model, or run `{MADE_BY}`"
    )
