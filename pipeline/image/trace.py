"""Turn any image into a model input: trace its ink, then draw it with the pen that drew the training inks.

Uneven light, colour, stroke width and position on the page then make no difference to the model.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.image.binarize import binarize
from latexify.pipeline.image.components import label_components
from latexify.pipeline.image.decode import decode_image
from latexify.pipeline.image.rectify import cut_out
from latexify.pipeline.image.sheet import find_sheet
from latexify.pipeline.image.skeleton import skeletonize
from latexify.pipeline.image.slim import slim
from latexify.pipeline.inks.ink import Stroke

PAPER = 255


def picture_of(data: bytes, canvas: Canvas) -> npt.NDArray[np.uint8]:
    """Turn an image file into a model input.

    The result is uint8 [height, width] of the canvas, ink 0, paper 255. An image that already is such a picture, as in
    the shards, is returned unchanged.

    Raises:
        LatexifyError: If the file is not an image, damaged, too large or blank.
    """
    grey = decode_image(data)
    if _is_model_input(grey, canvas):
        return grey
    sheet = find_sheet(grey)
    mask, width_px = slim(*binarize(grey if sheet is None else cut_out(grey, sheet)))
    strokes = skeletonize(mask, width_px=width_px)
    if canvas.max_stroke_px is not None:
        factor = _traced_size_fraction(strokes, mask, width_px)
        canvas = replace(canvas, max_stroke_px=canvas.max_stroke_px * factor)
    return draw_ink(strokes, canvas)


def _traced_size_fraction(strokes: list[Stroke], mask: npt.NDArray[np.bool_], width_px: float) -> float:
    """Median size of the traced lines as a fraction of the median size of the pen's strokes.

    Traced lines end where strokes cross. Connected components are closer to what the pen drew in one go.
    """
    traced = np.array([np.ptp(stroke, axis=0).max() for stroke in strokes])
    boxes = label_components(mask).boxes
    drawn = np.max(boxes[:, 2:] - boxes[:, :2], axis=1) - width_px
    traced, drawn = traced[traced > 0], drawn[drawn > width_px / 2]
    return float(np.median(traced) / np.median(drawn)) if len(traced) and len(drawn) else 1.0


def _is_model_input(grey: npt.NDArray[np.uint8], canvas: Canvas) -> bool:
    """Whether the image has the canvas's size, clean margins and ink inside."""
    height_px, width_px = grey.shape
    step_px = canvas.width_step_px or canvas.width_px
    if height_px != canvas.height_px or width_px % step_px or width_px > canvas.width_px:
        return False
    margin = int(canvas.margin_px)
    edges = grey.copy()
    edges[margin : grey.shape[0] - margin, margin : grey.shape[1] - margin] = PAPER
    return bool((edges == PAPER).all() and np.median(grey) == PAPER and grey.min() < PAPER // 2)
