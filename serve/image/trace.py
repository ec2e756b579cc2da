"""Any image as the model knows pictures: its ink traced, then drawn by the pen that the training inks are drawn by.

So uneven light, colour, the width of the strokes and the place on the page make no difference to the model.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inks.ink import Stroke
from latexify.serve.image.binarize import find_ink
from latexify.serve.image.components import label_components
from latexify.serve.image.decode import decode_picture
from latexify.serve.image.skeleton import trace_strokes

PAPER = 255


def picture_of(data: bytes, canvas: Canvas) -> npt.NDArray[np.uint8]:
    """Turn an image file into a picture for the model: uint8 [height, width] of the canvas, ink 0, paper 255.

    An image that is such a picture already, like those in shards, stays as it is. Raises LatexifyError where the file
    is no image, damaged, too large or blank.
    """
    grey = decode_picture(data)
    if _is_drawn(grey, canvas):
        return grey
    mask, width_px = find_ink(grey)
    strokes = trace_strokes(mask, width_px=width_px)
    if canvas.max_stroke_px is not None:
        canvas = replace(canvas, max_stroke_px=canvas.max_stroke_px * _pieces_per_stroke(strokes, mask, width_px))
    return draw_ink(strokes, canvas)


def _pieces_per_stroke(strokes: list[Stroke], mask: npt.NDArray[np.bool_], width_px: float) -> float:
    """The usual size of the traced lines as a share of that of the pen's strokes.

    Lines end where strokes cross; the pieces of ink that hang together are nearer to what the pen drew in one go.
    """
    traced = np.array([np.ptp(stroke, axis=0).max() for stroke in strokes])
    boxes = label_components(mask).boxes
    drawn = np.max(boxes[:, 2:] - boxes[:, :2], axis=1) - width_px
    traced, drawn = traced[traced > 0], drawn[drawn > width_px / 2]
    return float(np.median(traced) / np.median(drawn)) if len(traced) and len(drawn) else 1.0


def _is_drawn(grey: npt.NDArray[np.uint8], canvas: Canvas) -> bool:
    """Whether it is of the canvas's size, with clean margins and something within."""
    if grey.shape != (canvas.height_px, canvas.width_px):
        return False
    margin = int(canvas.margin_px)
    edges = grey.copy()
    edges[margin : grey.shape[0] - margin, margin : grey.shape[1] - margin] = PAPER
    return bool((edges == PAPER).all() and np.median(grey) == PAPER and grey.min() < PAPER // 2)
