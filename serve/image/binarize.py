"""Where the ink is on a grey picture: whatever is thin and differs from what is around it."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from latexify.common.errors import LatexifyError
from latexify.serve.image.components import Components, label_components
from latexify.serve.image.ruled_lines import without_rules

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

WINDOW_SHARE = 24
"""The longest side divided by the widest stroke that is seen as one; what is wider counts as background."""

MIN_WINDOW_PX = 9

SMALL_PX = 800
"""Pictures of at most half of it on their longest side are enlarged."""

SOFTENED_PX = 0.8
"""Standard deviation of the blur that others get."""

MIN_CONTRAST = 14.0
"""Of 255: a picture without anything that stands out so much is blank."""

NOISE_LAG_PX = 6
"""Noise is the pixel's own within about half of it, once blurred or enlarged."""

NOISE_FACTOR = 5.0
"""Ink differs from its background by so many standard deviations of the noise."""

INK_SHARE = 0.45
"""Of the contrast of typical ink: what differs less, such as ruled lines and paper's folds, is none."""

PEAK_SHARE = 0.7
"""Of the contrast of typical ink at its darkest: a piece that is nowhere so dark is none."""

SPECK_SHARE = 0.3
"""Of the square of the stroke width: smaller pieces are dust. A dot of the pen covers 0.8 of it."""

DARKEST_SHARE = 0.4
"""Of the brightness of the brightest paper: paper in the shade is no darker."""

MIN_INK_PIXELS = 12

RULE_AREA = 4.0
"""Stroke widths times length: what goes from edge to edge of the picture with less area is a ruled line."""


def find_ink(grey: npt.NDArray[np.uint8]) -> tuple[Mask, float]:
    """The ink of a picture, bool [height, width] cropped to it, and the width of its strokes in pixels.

    grey: uint8 [height, width], dark ink on light paper or the other way round, light may be uneven.
    Raises LatexifyError where there is none.
    """
    smooth = _smoothed(Image.fromarray(grey))
    dark = 255 - smooth if _is_light_on_dark(smooth) else smooth
    contrast = _contrast(dark)
    components = label_components(without_rules(_threshold(contrast)))
    components = components.having(components.areas >= MIN_INK_PIXELS // 2)
    if not components.count:
        raise _blank()
    # the tip of a shadow is thin, too, but not as dark as ink
    peaks = components.peaks(contrast)
    components = components.having(peaks >= PEAK_SHARE * float(np.median(np.repeat(peaks, components.areas))))
    width_px = components.stroke_width()
    wanted = ~_is_ruled_line(components, width_px) & (components.areas >= SPECK_SHARE * width_px**2)
    components = components.having(wanted)
    if not components.count or components.areas.sum() < MIN_INK_PIXELS:
        raise _blank()
    return components.mask(), components.stroke_width()


def _smoothed(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """Without the finest noise where there are pixels to spare; else with more pixels, so that strokes stay apart."""
    factor = SMALL_PX // max(picture.size)
    if factor > 1:
        size = (picture.width * factor, picture.height * factor)
        return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(SOFTENED_PX)))


def _blank() -> LatexifyError:
    return LatexifyError("the image is blank: nothing on it stands out like ink")


def _is_light_on_dark(grey: npt.NDArray[np.uint8]) -> bool:
    """Ink is what most of its surroundings are not: in which direction do pixels leave the median around them?"""
    side = max(grey.shape) // 12 + 1
    rows, columns = -(-grey.shape[0] // side), -(-grey.shape[1] // side)
    padded = np.pad(grey, ((0, rows * side - grey.shape[0]), (0, columns * side - grey.shape[1])), mode="edge")
    tiles = padded.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows, columns, -1)
    deviations = tiles.astype(np.float32) - np.median(tiles, axis=2, keepdims=True)
    return bool((deviations**3).mean() > 0)


def _contrast(dark: npt.NDArray[np.uint8]) -> Floats:
    """How much darker every pixel is than the paper around it, 0 to 255, as if the light were even.

    The paper is a morphological closing: it knows nothing of what is thinner than its window, and follows shadows.
    """
    window = max(MIN_WINDOW_PX, max(dark.shape) // WINDOW_SHARE) | 1  # odd: as wide on both sides
    paper = 255 - _widest(255 - _widest(dark, window), window)
    # the dark around a sheet is no paper in the shade: its noise is not to be made large
    lit = np.maximum(paper, DARKEST_SHARE * np.percentile(paper, 90)).astype(np.float32)
    contrast = (paper - dark.astype(np.float32)) * (255 / np.maximum(lit, 1))
    return (contrast - np.median(contrast)).astype(np.float32)


def _widest(grey: npt.NDArray[np.uint8], window: int) -> npt.NDArray[np.uint8]:
    """The brightest pixel within a square window around each, by windows that double."""
    for axis in (0, 1):
        before, after = window // 2, (window - 1) // 2
        pad = [(0, 0), (0, 0)]
        pad[axis] = (before, after)
        length, widest = grey.shape[axis], np.pad(grey, pad, mode="edge")
        reach = 1
        while reach < window:
            step = min(reach, window - reach)
            count = widest.shape[axis] - step
            widest = np.maximum(_part(widest, axis, 0, count), _part(widest, axis, step, count))
            reach += step
        grey = _part(widest, axis, 0, length)
    return grey


def _part(values: npt.NDArray[np.uint8], axis: int, start: int, count: int) -> npt.NDArray[np.uint8]:
    return values[start : start + count] if axis == 0 else values[:, start : start + count]


def _threshold(contrast: Floats) -> Mask:
    """What stands out. Raises LatexifyError where nothing does."""
    noise = _noise(contrast)
    standing_out = contrast[contrast > max(NOISE_FACTOR * noise, MIN_CONTRAST)]
    if standing_out.size < MIN_INK_PIXELS:
        raise _blank()
    # rules, folds and the grain of a table stand out as well, and may be more than the ink: typical ink is darker
    ink = standing_out[standing_out > _parting(standing_out)]
    return contrast > max(INK_SHARE * float(np.median(ink)), MIN_CONTRAST)


def _parting(values: Floats) -> float:
    """The value that parts the values into two groups whose means are the farthest apart for their sizes.

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. Syst., Man, Cybern. 9(1), 1979.
    """
    low, high = float(values.min()), float(values.max())
    if high - low < 1:
        return low - 1  # one group
    counts, edges = np.histogram(values, bins=128)
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * middles)[:-1]
    above, total = values.size - below, float((counts * middles).sum())
    # the first and the last bin of a histogram are never empty
    between = below * above * (sums / below - (total - sums) / above) ** 2
    return float(edges[1 + int(between.argmax())])


def _noise(contrast: Floats) -> float:
    """Standard deviation of the noise: from pixels that are too far apart to share it, most of them on bare paper."""
    apart = NOISE_LAG_PX
    if contrast.shape[1] <= apart:
        return 0.0
    differences = np.abs(contrast[:, apart:] - contrast[:, :-apart])
    return float(np.median(differences)) * 1.4826 / 2**0.5


def _is_ruled_line(components: Components, width_px: float) -> Mask:
    """Pieces that go from edge to edge and are hardly more than a line, if a bent one."""
    shape = components.shape
    top, left, bottom, right = components.boxes.T
    edge = 2
    across = (left <= edge) & (right >= shape[1] - edge) & (components.areas < RULE_AREA * width_px * shape[1])
    down = (top <= edge) & (bottom >= shape[0] - edge) & (components.areas < RULE_AREA * width_px * shape[0])
    spans: Mask = across | down
    return spans if not spans.all() else np.zeros_like(spans)
