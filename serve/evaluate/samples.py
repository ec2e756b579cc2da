"""Samples of a test set in memory: drawn for the model at hand, or fitted by its own image processor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.eval.metrics.structure import symbols_of
from latexify.eval.predict.samples import EvaluationSample, Rows
from latexify.pipeline.drawing.pictures import draw_rows, sizes_of
from latexify.pipeline.image.decode import decode_image
from latexify.pipeline.inks.ink import Ink
from latexify.serve.recognizer import canvas_of
from latexify.trainer.model.canvas import Geometry

Pixels = npt.NDArray[np.uint8]
Resize = Callable[[Pixels], Pixels]


class _Sized:
    """Lengths of labels and sizes of pictures, by which samples are put into batches."""

    def __init__(self, inks: Sequence[Ink], sizes_px: npt.NDArray[np.int32]) -> None:
        # the end token is one more
        self._num_tokens = np.array([len(symbols_of(ink.normalized_label)) + 1 for ink in inks], dtype=np.int32)
        self._sizes_px = sizes_px

    @property
    def num_tokens(self) -> npt.NDArray[np.int32]:
        """See `EvaluationSamples`."""
        return self._num_tokens

    @property
    def sizes_px(self) -> npt.NDArray[np.int32]:
        """See `EvaluationSamples`."""
        return self._sizes_px


class DrawnInks(_Sized):
    """Samples drawn in memory, as the stage rasterize draws them, a batch at a time."""

    def __init__(self, inks: Sequence[Ink], geometry: Geometry) -> None:
        self._inks = [_for_model(ink, geometry) for ink in inks]
        self._canvas = canvas_of(geometry)
        super().__init__(inks, sizes_of(self._inks, self._canvas))

    def read(self, rows: Rows) -> list[EvaluationSample]:
        """See `EvaluationSamples`."""
        inks = [self._inks[int(row)] for row in rows]
        return [
            EvaluationSample(key=ink.key, label=ink.label, reference=ink.normalized_label, pixels=pixels)
            for ink, pixels in zip(inks, draw_rows(inks, self._canvas), strict=True)
        ]


class WholePictures(_Sized):
    """Picture files, each fitted to the canvas by the image processor of a plain TrOCR."""

    def __init__(
        self, inks: Sequence[Ink], files: Mapping[str, bytes], *, resize: Resize, size_px: tuple[int, int]
    ) -> None:
        """Take the files by key, and height and width of the pictures that `resize` returns."""
        super().__init__(inks, np.tile(np.array(size_px, np.int32), (len(inks), 1)))
        self._inks, self._files, self._resize = inks, files, resize

    def read(self, rows: Rows) -> list[EvaluationSample]:
        """See `EvaluationSamples`."""
        inks = [self._inks[int(row)] for row in rows]
        return [
            EvaluationSample(
                key=ink.key,
                label=ink.label,
                reference=ink.normalized_label,
                pixels=self._resize(decode_image(self._files[ink.key])),
            )
            for ink in inks
        ]


def _for_model(ink: Ink, geometry: Geometry) -> Ink:
    """Return what a model needs of an ink or picture. Raises LatexifyError if it is a picture that was not traced."""
    if ink.picture is None or geometry.pictures == "fitted":
        return ink
    if not ink.strokes:
        raise LatexifyError(
            f"{ink.source} was not traced, and the model needs traced pictures: name the folder of the pictures instead"
        )
    return replace(ink, picture=None)
