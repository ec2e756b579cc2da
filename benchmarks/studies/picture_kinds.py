"""Draws an ink as the pictures that people bring: thick pens, papers, boards, frames."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inks.ink import Stroke

Floats = npt.NDArray[np.floating]
Strokes = Sequence[Stroke]
Kind = Callable[[Strokes, np.random.Generator], Image.Image]
SMALL_PX = 280  # longest side of the small pictures
PEN_PERCENT = (2, 3, 4, 5, 6, 8, 10)  # widths of thick pens, of the longest side
PHOTO_PX = 1000  # longest side of the other pictures
PAPER, INK = 235.0, 40.0  # brightness
MAX_RATIO = 5.0  # of the sides of a picture


def coverage(strokes: Strokes, *, longest_px: int, pen_px: float, margin_px: float) -> Floats:
    """The pen's marks, float [height, width], 0 paper, 1 ink; the picture is as large as ink and margin."""
    points = np.concatenate(strokes)
    extent = np.maximum(np.ptp(points, axis=0), 1e-6)
    extent = np.maximum(extent, extent.max() / MAX_RATIO)
    inner = extent * ((longest_px - 2 * margin_px) / extent.max())
    width_px, height_px = (round(float(side + 2 * margin_px)) for side in inner)
    canvas = Canvas(height_px=height_px, width_px=width_px, margin_px=margin_px, pen_width_px=pen_px)
    return 1 - draw_ink(strokes, canvas) / 255.0


def thick(strokes: Strokes, random: np.random.Generator, *, percent: int, is_light: bool = False) -> Image.Image:
    """A drawn picture of 280 pixels with a thick pen."""
    pen = coverage(
        strokes, longest_px=SMALL_PX, pen_px=SMALL_PX * percent / 100, margin_px=float(random.integers(3, 15))
    )
    return _image(255 * pen if is_light else 255 * (1 - pen))


def photo(  # noqa: PLR0913  # one parameter per property of a picture
    strokes: Strokes,
    random: np.random.Generator,
    *,
    pen_px: float = 6.0,
    contrast: float = 1.0,
    noise: float = 3.0,
    paper: float = PAPER,
    shade: bool = False,
    pattern: Callable[[Floats, Floats], Floats] | None = None,
    mark: Callable[[Floats], Floats] | None = None,
    margin_px: float = 70.0,
) -> Image.Image:
    """A photographed sheet. pattern: printed on the paper, from rows and columns; mark: drawn with the ink."""
    pen = coverage(strokes, longest_px=PHOTO_PX, pen_px=pen_px, margin_px=margin_px)
    if mark is not None:
        pen = np.maximum(pen, mark(pen))
    rows, columns = np.mgrid[0 : pen.shape[0], 0 : pen.shape[1]].astype(np.float64)
    sheet = np.full(pen.shape, paper)
    if pattern is not None:
        sheet -= 70 * pattern(rows, columns)
    sheet = np.minimum(sheet, paper - contrast * (paper - INK) * pen)
    if shade:
        sheet *= 0.55 + 0.45 * columns / columns.max()
    return _image(sheet + random.normal(0, noise, pen.shape))


def board(strokes: Strokes, random: np.random.Generator) -> Image.Image:
    """Chalk on a blackboard."""
    pen = coverage(strokes, longest_px=PHOTO_PX, pen_px=8, margin_px=70)
    return _image(50 + 150 * pen * random.uniform(0.7, 1, pen.shape) + random.normal(0, 5, pen.shape))


def transparent(strokes: Strokes, _: np.random.Generator) -> Image.Image:
    """Black ink on nothing."""
    pen = coverage(strokes, longest_px=500, pen_px=4, margin_px=20)
    pixels = np.zeros((*pen.shape, 4))
    pixels[..., 3] = 255 * pen
    return Image.fromarray(pixels.round().astype(np.uint8), "RGBA")


def inverted(strokes: Strokes, _: np.random.Generator) -> Image.Image:
    """White on black, drawn."""
    return _image(255 * coverage(strokes, longest_px=500, pen_px=4, margin_px=20))


def ruled(rows: Floats, _: Floats) -> Floats:
    """Lines of a writing pad."""
    return (rows % 60 < 2).astype(np.float64)


def squared(rows: Floats, columns: Floats) -> Floats:
    """Lines of squared paper."""
    return ((rows % 50 < 2) | (columns % 50 < 2)).astype(np.float64)


def dotted(
    rows: Floats, columns: Floats, *, pitch_px: int = 40, radius_px: float = 2.5, darkness: float = 1.5
) -> Floats:
    """Dots of a bullet journal. darkness: of the dots, as a multiple of that of ruled lines; 2.8 is as dark as ink."""
    middle = pitch_px // 2
    return darkness * (np.hypot(rows % pitch_px - middle, columns % pitch_px - middle) < radius_px).astype(np.float64)


def frame(pen: Floats, *, distance_px: int = 25, width_px: int = 5, degrees: float = 0.0) -> Floats:
    """A box around the ink, `distance_px` from it."""
    top, bottom = np.flatnonzero(pen.max(axis=1))[[0, -1]]
    left, right = np.flatnonzero(pen.max(axis=0))[[0, -1]]
    box = np.zeros(pen.shape)
    d, w = distance_px, width_px
    box[top - d - w : bottom + d + w, left - d - w : right + d + w] = 1
    box[top - d : bottom + d, left - d : right + d] = 0
    return np.asarray(_image(255 * box).rotate(degrees, Image.Resampling.BICUBIC), dtype=np.float64) / 255


def answer_line(pen: Floats, *, reach_px: int = 10, degrees: float = 0.0) -> Floats:
    """A line below the ink. reach_px: by which it is longer than the ink on both sides."""
    bottom = np.flatnonzero(pen.max(axis=1))[-1]
    left, right = np.flatnonzero(pen.max(axis=0))[[0, -1]]
    line = np.zeros(pen.shape)
    line[bottom + 30 : bottom + 34, max(0, left - reach_px) : right + 1 + reach_px] = 1
    return np.asarray(_image(255 * line).rotate(degrees, Image.Resampling.BICUBIC), dtype=np.float64) / 255


def corner(pen: Floats) -> Floats:
    """Two sides of a box."""
    box = frame(pen)
    middle = pen.shape[0] // 2, pen.shape[1] // 2
    box[: middle[0], :] = 0
    box[:, middle[1] :] = 0
    return box


def _image(grey: Floats) -> Image.Image:
    return Image.fromarray(grey.clip(0, 255).round().astype(np.uint8))


THICK_KINDS: dict[str, Kind] = {
    **{f"pen {percent} %": partial(thick, percent=percent) for percent in PEN_PERCENT},
    "pen 6 %, light on dark": partial(thick, percent=6, is_light=True),
    "marker, in the shade": partial(photo, shade=True, pen_px=50),
}
"""Short formulas."""
KINDS: dict[str, Kind] = {
    "plain": photo,
    "in the shade": partial(photo, shade=True),
    "pencil": partial(photo, contrast=0.4, pen_px=4, noise=5),
    "sticky note": partial(photo, paper=200, shade=True),
    "ruled": partial(photo, pattern=ruled),
    "ruled, in the shade": partial(photo, pattern=ruled, shade=True),
    "squared": partial(photo, pattern=squared),
    "dot grid": partial(photo, pattern=dotted),
    "dark dot grid": partial(photo, pattern=partial(dotted, radius_px=4, darkness=2.7)),
    "wide dot grid, in the shade": partial(photo, pattern=partial(dotted, pitch_px=70, radius_px=5), shade=True),
    "blackboard": board,
    "transparent": transparent,
    "inverted": inverted,
    "frame": partial(photo, mark=frame),
    "frame close by": partial(photo, mark=partial(frame, distance_px=8)),
    "frame, turned 2°": partial(photo, mark=partial(frame, distance_px=40, degrees=2)),
    "frame on ruled paper": partial(photo, mark=frame, pattern=ruled),
    "frame on squared paper, in the shade": partial(photo, mark=frame, pattern=squared, shade=True),
    "two sides of a frame": partial(photo, mark=corner),
    "answer line": partial(photo, mark=answer_line),
    "answer line, shorter": partial(photo, mark=partial(answer_line, reach_px=-60)),
    "answer line, longer, turned 1°": partial(photo, mark=partial(answer_line, reach_px=60, degrees=1), margin_px=120),
    "answer line on squared paper": partial(photo, mark=answer_line, pattern=squared),
}
"""Formulas of any length."""
