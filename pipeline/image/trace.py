"""Turn any image into a model input: trace its ink, then draw it with the pen that drew the training inks.

Uneven light, colour, stroke width and position on the page then make no difference to the model.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.drawing.pictures import fit_picture
from latexify.pipeline.image.crop import crop_picture
from latexify.pipeline.image.decode import decode_image
from latexify.pipeline.image.strokes import trace_picture

PAPER = 255


def picture_of(data: bytes, canvas: Canvas, *, is_traced: bool = True) -> npt.NDArray[np.uint8]:
    """Turn an image file into a model input: traced and drawn, or else cropped to its ink and fitted.

    The result is uint8 [height, width], ink 0, paper 255. An image that already is such a picture, as in
    the shards, is returned unchanged.

    Raises:
        PictureError: If the file is not an image, damaged, too large or blank.
    """
    grey = decode_image(data)
    if _is_model_input(grey, canvas):
        return grey
    if not is_traced:
        return ~fit_picture(crop_picture(grey), canvas)
    traced = trace_picture(grey)
    if canvas.max_stroke_px is not None:
        canvas = replace(canvas, max_stroke_px=canvas.max_stroke_px * traced.stroke_scale)
    return draw_ink(traced.strokes, canvas)


def _is_model_input(grey: npt.NDArray[np.uint8], canvas: Canvas) -> bool:
    """Whether the image has a size of the canvas's, clean margins and ink inside."""
    steps = (canvas.height_step_px or canvas.height_px, canvas.width_step_px or canvas.width_px)
    sides = zip(grey.shape, (canvas.height_px, canvas.width_px), steps, strict=True)
    if any(side % step or side > largest for side, largest, step in sides):
        return False
    margin = int(canvas.margin_px)
    edges = grey.copy()
    edges[margin : grey.shape[0] - margin, margin : grey.shape[1] - margin] = PAPER
    return bool((edges == PAPER).all() and np.median(grey) == PAPER and grey.min() < PAPER // 2)
