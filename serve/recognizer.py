"""The Python API: a model loaded once, inks and pictures of any kind in, LaTeX out."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.common.package_data import default_model
from latexify.eval.predict.calibration import Line, read_calibration
from latexify.eval.predict.ranked import confidences_of, distinct_formulas
from latexify.pipeline.config import MAX_FILE_BYTES, MAX_POINTS
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.strokes.content import InkFile
from latexify.pipeline.strokes.ink_file import looks_like_ink, read_ink_file
from latexify.serve.formats.formats import Format, convert, convert_to_each
from latexify.shards.reading.plan import batches_by_size
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.open import choose_runtime, open_model, quickest_runtime
from latexify.trainer.inference.runtime import Runtime
from latexify.trainer.inference.search import Hypothesis
from latexify.trainer.inference.well_formed import read_vocabulary
from latexify.trainer.model.canvas import Geometry

MAX_TOKENS = 256  # maximum number of tokens of an answer; the longest labels of CROHME and MathWriting have about 100
BATCH_SIZE = 16  # pictures in a batch
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatexHypothesis:
    """One possible LaTeX of an input, normalised (`latexify.pipeline.latex`).

    The confidence is 0 to 1. If the model is calibrated, it is the fraction of such answers that are right. If not,
    that of the best answer is the geometric mean of the probabilities of the tokens, end token included: for n tokens,
    the n-th root of the probability of the whole. Alternatives share what the best one leaves, so that the sum is at
    most 1. It is 0 if the search was cut off.
    """

    latex: str
    confidence: float

    def to_format(self, target: Format) -> str:
        """Write the formula in a format: ``latex``, ``pretty``, ``display``, ``mathml`` or ``typst``.

        Raises LatexifyError if the format cannot express it.
        """
        return convert(self.latex, target)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"latex": self.latex, "confidence": round(self.confidence, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognition(LatexHypothesis):
    """The best hypothesis for an input."""

    alternatives: list[LatexHypothesis] = field(default_factory=list)  # the others of the search, best first
    elapsed_s: float  # its share of its batch's time

    def to_answer(self, *, is_calibrated: bool, formats: Sequence[Format] = ()) -> dict[str, Any]:
        """Return the plain JSON values that commands and the service answer with, without the time.

        Where `formats` are wanted, ``formats`` has the text of each, null where it cannot express the formula;
        ``format_errors`` says why.
        """
        alternatives = [other.to_dict() for other in self.alternatives]
        answer = {**self.to_dict(), "calibrated": is_calibrated, "alternatives": alternatives}
        if formats:
            answer["formats"], reasons = convert_to_each(self.latex, formats)
            answer |= {"format_errors": reasons} if reasons else {}
        return answer


class Recognizer:
    """Recognise inks and pictures with a trained model, on one device. Safe to share between threads.

    The same strokes, or the content of an InkML or image file, give the picture that the model sees; `read` turns
    pictures into LaTeX. A file is read in two lines:

    >>> from latexify import Recognizer
    >>> recognizer = Recognizer()
    >>> minus = recognizer.draw([[[0, 0], [40, 1]]])
    >>> [recognition] = recognizer.read([minus])
    >>> recognition.latex
    '-'

    For files, replace `draw` by ``recognizer.picture_of(Path("ink.inkml").read_bytes())``.
    """

    def __init__(
        self,
        model: Path | str | None = None,
        *,
        device: str | None = None,
        runtime: Runtime | None = None,
        constrained: bool | None = None,
        num_threads: int | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: Model folder, or a plain TrOCR of transformers: a folder, or a name on the hub. None for the model
                that is part of the package.
            device: torch's name of a device, such as `cpu`; None chooses the best one that the runtime supports.
            runtime: `torch` or `onnx`. None chooses onnxruntime where it is installed, the folder has graphs for it
                (`export-onnx`) and there is no GPU that torch could use; otherwise torch.
            constrained: Return well-formed LaTeX only; None: if the model's tokens are LaTeX tokens.
            num_threads: CPU threads of an operator; None: the runtime's default.

        Raises:
            LatexifyError: If the model is incomplete, the device or the runtime cannot be used, or the model cannot be
                constrained.
        """
        folder = default_model() if model is None else Path(model)
        self.runtime = choose_runtime(folder, runtime) if runtime else quickest_runtime(folder, device=device)
        self._trained = open_model(folder, device=device, runtime=self.runtime, num_threads=num_threads)
        self._vocabulary = None if constrained is False else read_vocabulary(folder)
        if constrained and self._vocabulary is None:
            raise LatexifyError(
                f"the tokens of {folder} are pieces of text, not LaTeX tokens, so its answers cannot be constrained to "
                "well-formed LaTeX: leave --constrained out"
            )
        self._calibration = read_calibration(folder, fingerprint=self._trained.manifest.fingerprint)
        self.canvas = canvas_of(self._trained.geometry)

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the model, by its manifest."""
        return self._trained.manifest.fingerprint

    @property
    def is_calibrated(self) -> bool:
        """Whether confidences are the fraction of such answers that are right."""
        return self._calibration is not None

    def draw(self, strokes: Sequence[npt.ArrayLike]) -> Picture:
        """Draw an ink: strokes of [num_points, 2], x to the right, y downward, in any unit.

        Returns the picture that the model sees: uint8 [height, width] of the canvas, ink 0, paper 255.

        Raises:
            LatexifyError: If there is nothing to draw, or a stroke has another shape.
        """
        return draw_ink([_as_stroke(stroke, number) for number, stroke in enumerate(strokes)], self.canvas)

    def picture_of(self, data: bytes) -> Picture:
        """Draw the content of an InkML file, or trace that of an image of any kind, to a picture as :meth:`draw` does.

        A model that was trained on pictures as they are gets the image fitted to its canvas instead. A plain TrOCR gets
        the image resized by its own processor.

        Raises:
            LatexifyError: If the content is neither, empty, damaged or too large.
        """
        if looks_like_ink(data):
            return self.draw(read_ink(data).strokes)
        if self._trained.resize is not None:
            from latexify.pipeline.image.decode import decode_image  # noqa: PLC0415  # only where it is needed

            return self._trained.resize(decode_image(data))
        from latexify.pipeline.image.trace import picture_of  # noqa: PLC0415  # only where it is needed

        return picture_of(data, self.canvas, is_traced=self._trained.geometry.pictures == "traced")

    def read(
        self, pictures: Sequence[Picture], *, num_beams: int = 1, num_drawings: int = 1, only: str | None = None
    ) -> list[Recognition]:
        r"""Recognise pictures that :meth:`draw` or :meth:`picture_of` made, in their order.

        Args:
            pictures: uint8 [height, width] of the canvas, or narrower, see `Canvas`.
            num_beams: Beam width; 1 is greedy search, the fastest.
            num_drawings: Drawings of each picture, up to 7, slanted, stretched or turned a little, whose answers vote.
                The time grows in proportion. A greedy search of one drawing has no alternatives.
            only: The symbols that may be written: `digits`, `letters` and LaTeX tokens, divided by spaces, such as
                ``digits +-= \frac``; None for all.

        Raises:
            LatexifyError: If the model does not know a symbol of `only`, or is not constrained.
        """
        constraint = self.constraint(only)
        # the more ink, the longer the formula, roughly; a batch takes as long as its longest
        order = np.argsort([np.count_nonzero(picture < 128) for picture in pictures], kind="stable")
        sizes_px = np.array([picture.shape for picture in pictures], dtype=np.int32)
        recognitions: dict[int, Recognition] = {}
        for rows in batches_by_size(order, sizes_px, size=BATCH_SIZE):
            batch = rows.tolist()
            answers = self._read_batch(
                [pictures[i] for i in batch], num_beams=num_beams, num_drawings=num_drawings, constraint=constraint
            )
            recognitions |= zip(batch, answers, strict=True)
        return [recognitions[i] for i in range(len(pictures))]

    def constraint(self, only: str | None = None) -> Constraint | None:
        """Return the constraint of the search; see :meth:`read` for `only` and the errors."""
        if only is not None and self._vocabulary is None:
            raise LatexifyError(
                "the symbols can only be limited where answers are constrained to well-formed LaTeX: leave out `only`, "
                "or --no-constrained, or choose a model whose tokens are LaTeX tokens"
            )
        return None if self._vocabulary is None else self._vocabulary.constraint(only=only)

    def _read_batch(
        self, pictures: list[Picture], *, num_beams: int, num_drawings: int, constraint: Constraint | None
    ) -> list[Recognition]:
        started = time.perf_counter()
        hypotheses = self._trained.inference.generate(
            np.stack(pictures),
            max_tokens=MAX_TOKENS,
            num_beams=num_beams,
            num_best=max(num_beams, num_drawings),
            num_drawings=num_drawings,
            constraint=constraint,
        )
        calibration = self._calibration
        line = None if calibration is None else calibration.line(num_beams=num_beams, num_drawings=num_drawings)
        formulas = [self._to_latex(of_picture, line) for of_picture in hypotheses]
        elapsed_s = (time.perf_counter() - started) / len(pictures)
        return [
            Recognition(latex=best.latex, confidence=best.confidence, alternatives=others, elapsed_s=elapsed_s)
            for best, *others in formulas
        ]

    def _to_latex(self, hypotheses: list[Hypothesis], line: Line | None) -> list[LatexHypothesis]:
        """Convert to LaTeX, the best first; hypotheses that are the same formula become one."""
        first = hypotheses[0]
        formulas = distinct_formulas(hypotheses, self._trained.texts([hypothesis.ids for hypothesis in hypotheses]))
        confidences = confidences_of(formulas, probability=first.confidence, finished=first.finished, line=line)
        found = [LatexHypothesis(latex=text, confidence=c) for text, c in zip(formulas, confidences, strict=True)]
        return sorted(found, key=lambda formula: -formula.confidence)


def canvas_of(geometry: Geometry) -> Canvas:
    """Return the canvas of a model."""
    return Canvas(
        height_px=geometry.height_px,
        width_px=geometry.width_px,
        margin_px=geometry.margin_px,
        pen_width_px=geometry.pen_width_px,
        max_stroke_px=geometry.max_stroke_px,
        width_step_px=geometry.width_step_px,
        height_step_px=geometry.height_step_px,
    )


def _as_stroke(points: npt.ArrayLike, number: int) -> Stroke:
    try:
        stroke = np.asarray(points, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise LatexifyError(f"stroke {number} contains something other than pairs of numbers ({error})") from None
    if stroke.size and (stroke.ndim != 2 or stroke.shape[1] != 2):
        raise LatexifyError(f"stroke {number} has the shape {list(stroke.shape)}, but [points, 2] is needed")
    return stroke


def read_ink(data: bytes, *, max_file_bytes: int = MAX_FILE_BYTES, max_points: int = MAX_POINTS) -> InkFile:
    """Read an ink of any format. Raises LatexifyError if it is damaged, empty or exceeds the limits."""
    from latexify.pipeline.inkml.xml import UnusableInkError  # noqa: PLC0415  # XML is parsed only where it is needed

    try:
        return read_ink_file(data, max_file_bytes=max_file_bytes, max_points=max_points)
    except UnusableInkError as error:
        raise LatexifyError(f"the ink cannot be read ({error.reason}: {error.detail})") from None
