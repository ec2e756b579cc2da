"""Draws an ink as the pictures that people bring: thick pens, papers, boards, frames, desks, turned sheets."""

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


def desk(strokes: Strokes, random: np.random.Generator, *, share: float, degrees: float = 3.0) -> Image.Image:
    """A sheet on a dark desk with grain. share: of the picture's area that the sheet covers."""
    sheet = np.asarray(photo(strokes, random, pen_px=6), dtype=np.float64)
    height, width = (round(side / share**0.5) for side in sheet.shape)
    alpha = np.zeros((height, width))
    content = np.zeros((height, width))
    top, left = (height - sheet.shape[0]) // 2, (width - sheet.shape[1]) // 2
    alpha[top : top + sheet.shape[0], left : left + sheet.shape[1]] = 255
    content[top : top + sheet.shape[0], left : left + sheet.shape[1]] = sheet
    turned = [
        np.asarray(_image(layer).rotate(degrees, Image.Resampling.BICUBIC), dtype=np.float64)
        for layer in (content, alpha)
    ]
    grain = 70 + 12 * np.sin(np.arange(height)[:, None] / 9 + random.normal(0, 0.4, (height, 1)))
    table = grain + random.normal(0, 5, (height, width))
    return _image(turned[0] + table * (1 - turned[1] / 255))


def turned(strokes: Strokes, random: np.random.Generator, *, degrees: float) -> Image.Image:
    """A picture that was taken askew; the paper fills it."""
    image = photo(strokes, random, noise=0.0)
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=round(PAPER))


def aside(strokes: Strokes, random: np.random.Generator) -> Image.Image:
    """A sheet that was taken from aside: the far side is a quarter shorter."""
    image = photo(strokes, random, noise=0.0, margin_px=120.0)
    width, height = image.size
    source = [(0, 0), (width, 0), (width, height), (0, height)]
    target = [(0, 0), (width, height / 8), (width, height * 7 / 8), (0, height)]
    rows, values = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    data = np.linalg.solve(np.array(rows, dtype=np.float64), np.array(values, dtype=np.float64)).tolist()
    return image.transform(
        image.size, Image.Transform.PERSPECTIVE, data, Image.Resampling.BICUBIC, fillcolor=round(PAPER)
    )


def ruled(rows: Floats, _: Floats) -> Floats:
    """Lines of a writing pad."""
    return (rows % 60 < 2).astype(np.float64)


def squared(rows: Floats, columns: Floats) -> Floats:
    """Lines of squared paper."""
    return ((rows % 50 < 2) | (columns % 50 < 2)).astype(np.float64)


def dotted(rows: Floats, columns: Floats) -> Floats:
    """Dots of a bullet journal."""
    return 1.5 * (np.hypot(rows % 40 - 20, columns % 40 - 20) < 2.5).astype(np.float64)


def frame(pen: Floats, *, distance_px: int = 25, width_px: int = 5, degrees: float = 0.0) -> Floats:
    """A box around the ink, `distance_px` from it."""
    top, bottom = np.flatnonzero(pen.max(axis=1))[[0, -1]]
    left, right = np.flatnonzero(pen.max(axis=0))[[0, -1]]
    box = np.zeros(pen.shape)
    d, w = distance_px, width_px
    box[top - d - w : bottom + d + w, left - d - w : right + d + w] = 1
    box[top - d : bottom + d, left - d : right + d] = 0
    return np.asarray(_image(255 * box).rotate(degrees, Image.Resampling.BICUBIC), dtype=np.float64) / 255


def answer_line(pen: Floats) -> Floats:
    """A line below the ink."""
    bottom = np.flatnonzero(pen.max(axis=1))[-1]
    line = np.zeros(pen.shape)
    line[bottom + 30 : bottom + 34, 60:-60] = 1
    return line


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
    **{f"sheet on {100 - percent} % desk": partial(desk, share=percent / 100) for percent in (80, 60, 40, 20)},
    **{f"turned {degrees}°": partial(turned, degrees=degrees) for degrees in (5, 10)},
    "from aside": aside,
}
"""Formulas of any length."""
