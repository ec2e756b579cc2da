"""Fit pictures that are not traced to a canvas, and draw rows of any kind."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from latexify.pipeline.drawing.draw import Canvas, draw_coverage
from latexify.pipeline.drawing.fit import Scales, fit_inks, sides_in_steps
from latexify.pipeline.inks.ink import CroppedPicture, Ink, StrokeColumns
from latexify.shards.format.png import decode_png, png_size

Pixels = npt.NDArray[np.uint8]


def draw_rows(inks: Sequence[Ink], canvas: Canvas) -> Iterator[Pixels]:
    """Draw inks, traced pictures and pictures that are not traced, as rasterize does.

    Yields uint8 [height, width], 0 = ink, 255 = paper. Raises LatexifyError when the turn comes of an ink that cannot
    be drawn.
    """
    drawn = [ink for ink in inks if ink.picture is None]
    coverages: Iterator[Pixels] = iter(())
    if drawn:
        columns, scales = StrokeColumns.of([ink.strokes for ink in drawn]), _scales(drawn)
        points, lengths, num_strokes = columns.points, columns.stroke_lengths, columns.num_strokes
        coverages = draw_coverage(points, lengths, num_strokes, canvas, scales=scales)
    for ink in inks:
        yield ~(next(coverages) if ink.picture is None else fit_picture(ink.picture, canvas))


def sizes_of(inks: Sequence[Ink], canvas: Canvas) -> npt.NDArray[np.int32]:
    """Return height and width of the pictures that `draw_rows` yields, in pixels, int32 [num_inks, 2]."""
    sizes = np.tile(np.array([canvas.height_px, canvas.width_px], np.int32), (len(inks), 1))
    if canvas.width_step_px is None and canvas.height_step_px is None:
        return sizes
    is_drawn = np.array([ink.picture is None for ink in inks], np.bool_)
    if is_drawn.any():
        drawn = [ink for ink in inks if ink.picture is None]
        columns, scales = StrokeColumns.of([ink.strokes for ink in drawn]), _scales(drawn)
        fitted = fit_inks(columns.points, columns.stroke_lengths, columns.num_strokes, canvas, scales=scales)
        sizes[is_drawn] = fitted.sizes_px
    for row, ink in enumerate(inks):
        if ink.picture is not None:
            sizes[row] = _fitted_size(_size_on(ink.picture, canvas), canvas)
    return sizes


def _scales(inks: Sequence[Ink]) -> Scales:
    return Scales(pens=np.ones(len(inks)), strokes=np.array([ink.stroke_scale for ink in inks]))


def fit_picture(picture: CroppedPicture, canvas: Canvas) -> Pixels:
    """Return the coverage of a picture on a canvas, uint8 [height, width], 0 = paper, 255 = ink.

    As ink is, the picture is scaled, with its aspect ratio, until it fills the canvas inside the margins or its usual
    stroke is as large as the canvas allows, and centred. Pieces of ink that are connected stand in for strokes. A
    picture of dots alone is as large as the pen is wide. If the canvas has steps, the result is as small as they
    allow. After it is scaled, the darkest pixel is black, so that fine strokes of a large picture stay visible.
    """
    size = _size_on(picture, canvas)
    coverage = ~decode_png(picture.png)
    resized = np.asarray(Image.fromarray(coverage).resize(size, Image.Resampling.BICUBIC))
    darkest = int(resized.max())
    if darkest:
        levels = (np.arange(256) * 255 // darkest).clip(0, 255).astype(np.uint8)
        resized = levels[resized]
    fitted = np.zeros(_fitted_size(size, canvas), np.uint8)
    top, left = (fitted.shape[0] - size[1]) // 2, (fitted.shape[1] - size[0]) // 2
    fitted[top : top + size[1], left : left + size[0]] = resized
    return fitted


def _size_on(picture: CroppedPicture, canvas: Canvas) -> tuple[int, int]:
    """Return the width and height of a picture on a canvas, without margins."""
    width, height = png_size(picture.png)
    room_width, room_height = (int(side - 2 * canvas.margin_px) for side in (canvas.width_px, canvas.height_px))
    scale = min(room_width / width, room_height / height)
    if picture.usual_stroke_px is None:
        scale = min(scale, canvas.pen_width_px / max(width, height))
    elif canvas.max_stroke_px is not None:
        scale = min(scale, canvas.max_stroke_px / picture.usual_stroke_px)
    return min(max(round(width * scale), 1), room_width), min(max(round(height * scale), 1), room_height)


def _fitted_size(inked_px: tuple[int, int], canvas: Canvas) -> tuple[int, int]:
    """Return height and width of the picture of ink of this width and height."""
    width, height = (side + 2 * canvas.margin_px for side in inked_px)
    return (
        int(sides_in_steps(height, side_px=canvas.height_px, step_px=canvas.height_step_px)),
        int(sides_in_steps(width, side_px=canvas.width_px, step_px=canvas.width_step_px)),
    )
