"""Any image as the model knows pictures: its ink traced, then drawn by the pen that the training inks are drawn by.

So uneven light, colour, the width of the strokes and the place on the page make no difference to the model.
"""

import numpy as np
import numpy.typing as npt

from pipeline.draw import Canvas, draw_ink
from serve.centrelines import trace_strokes
from serve.inking import find_ink
from serve.pictures import decode_picture

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
    return draw_ink(trace_strokes(mask, width_px=width_px), canvas)


def _is_drawn(grey: npt.NDArray[np.uint8], canvas: Canvas) -> bool:
    """Whether it is of the canvas's size, with clean margins and something within."""
    if grey.shape != (canvas.height_px, canvas.width_px):
        return False
    margin = int(canvas.margin_px)
    edges = grey.copy()
    edges[margin : grey.shape[0] - margin, margin : grey.shape[1] - margin] = PAPER
    return bool((edges == PAPER).all() and np.median(grey) == PAPER and grey.min() < PAPER // 2)
