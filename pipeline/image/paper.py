"""Estimate the paper of a grey picture, and how much darker than it each pixel is."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
NARROW, WIDE = 24, 8  # longest side of the picture divided by the widest stroke; anything wider counts as background
MIN_WINDOW_PX = 9
MIN_PAPER_BRIGHTNESS = 0.4  # as a fraction of the brightest paper's: paper in the shade is not darker than this
MIN_EVEN_CONTRAST = 50.0  # of 255, between ink and paper: fainter ink is looked for by its surroundings
MAX_UNEVENNESS = 0.2
"""Difference of the 5th and 95th percentile of even paper, as a fraction of the ink's contrast."""
BORDER_FRACTION = 0.03  # of the longest side: width of the border that must be paper
MIN_BORDER_PAPER = 0.7  # smallest fraction of the border that is paper
MAX_INK_FRACTION = 0.6  # largest fraction of the picture that thick strokes cover
BOARD_FRACTION = 0.3  # of the longest side: a dark square of this size is a board, not a stroke
MIN_SHEET_FRACTION = 0.8  # of the light area on a dark desk: a sheet covers at least this much of it
MAX_WRITING = 0.3  # largest fraction of a sheet that its writing covers
MIN_SOLIDITY = 0.93  # smallest area of a sheet, as a fraction of its convex hull's


def even_contrast(grey: Grey) -> Floats | None:
    """Return how much each pixel differs from even paper, 0 to 255 and less, or None if the paper is not even.

    One grey value then separates ink from paper, however thick the strokes are. Ink is dark on light or the reverse.
    """
    split = otsu_threshold(grey)
    is_light = grey > split
    if is_light.all() or not is_light.any():
        return None
    width = max(1, round(BORDER_FRACTION * max(grey.shape)))
    border = np.ones(grey.shape, np.bool_)
    border[width:-width, width:-width] = False
    light_border = float(is_light[border].mean())
    is_paper = is_light if light_border > 0.5 else ~is_light
    if max(light_border, 1 - light_border) < MIN_BORDER_PAPER or is_paper.mean() < 1 - MAX_INK_FRACTION:
        return None
    paper, ink = float(np.median(grey[is_paper])), float(np.median(grey[~is_paper]))
    low, high = np.percentile(grey[is_paper], (5, 95))
    if abs(paper - ink) < MIN_EVEN_CONTRAST or high - low > MAX_UNEVENNESS * abs(paper - ink):
        return None
    if _is_sheet(~is_paper) if ink > paper else _is_board(~is_paper):
        return None
    factor = -255 / (255 - paper) if ink > paper else 255 / paper
    return ((paper - grey.astype(np.float32)) * np.float32(factor)).astype(np.float32)


def _is_board(ink: Mask) -> bool:
    """Whether a square of the size of a board fits into the ink."""
    side = max(3, round(BOARD_FRACTION * max(ink.shape)))
    if side >= min(ink.shape):
        return False
    sums = np.pad(np.cumsum(np.cumsum(ink, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
    filled = sums[side:, side:] - sums[side:, :-side] - sums[:-side, side:] + sums[:-side, :-side]
    return bool((filled >= 0.98 * side * side).any())


def _is_sheet(ink: Mask) -> bool:
    """Whether the ink is one convex piece with small holes: a sheet on a dark desk, with its writing as holes."""
    labels, _ = ndimage.label(ink)
    areas = np.bincount(labels.ravel())[1:]
    piece = labels == 1 + areas.argmax()
    filled = ndimage.binary_fill_holes(piece)
    area = int(filled.sum())
    if areas.max() < MIN_SHEET_FRACTION * areas.sum() or not 0 < area - areas.max() < MAX_WRITING * area:
        return False
    outline = np.argwhere(filled & ~ndimage.binary_erosion(filled))
    return min(np.ptp(outline, axis=0)) > 2 and area >= MIN_SOLIDITY * float(ConvexHull(outline).volume)


def local_contrast(dark: Grey, divisor: int) -> Floats:
    """Return how much darker each pixel is than the paper around it, 0 to 255, corrected for uneven light.

    The paper is estimated by a morphological closing, which ignores what is thinner than its window and follows
    shadows. divisor: the longest side over the window.
    """
    window = max(MIN_WINDOW_PX, max(dark.shape) // divisor) | 1  # odd: as wide on both sides
    paper = 255 - dilate(255 - dilate(dark, window), window)
    # the dark area around a sheet is not paper in the shade: do not amplify its noise
    lit = np.maximum(paper, MIN_PAPER_BRIGHTNESS * np.percentile(paper, 90)).astype(np.float32)
    contrast = (paper - dark.astype(np.float32)) * (255 / np.maximum(lit, 1))
    return (contrast - np.median(contrast)).astype(np.float32)


def paper_within(grey: Grey, area: Mask, window: int) -> Grey:
    """Return the brightness of the paper, uint8 [height, width], inside of an area; 0 outside.

    Like the closing of `local_contrast`, but nothing outside of the area counts. window: wider than strokes, in pixels.
    """
    window = max(MIN_WINDOW_PX, window) | 1
    lit = dilate(np.where(area, grey, 0).astype(np.uint8), window)
    return np.where(area, 255 - dilate(np.where(area, 255 - lit, 0).astype(np.uint8), window), 0).astype(np.uint8)


def dilate(grey: Grey, window: int) -> Grey:
    """The brightest pixel in a square window around each pixel, computed from windows that double in size."""
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (window // 2, (window - 1) // 2)
        length, brightest = grey.shape[axis], np.pad(grey, pad, mode="edge")
        reach = 1
        while reach < window:
            step = min(reach, window - reach)
            count = brightest.shape[axis] - step
            brightest = np.maximum(_part(brightest, axis, 0, count), _part(brightest, axis, step, count))
            reach += step
        grey = _part(brightest, axis, 0, length)
    return grey


def _part(values: Grey, axis: int, start: int, count: int) -> Grey:
    return values[start : start + count] if axis == 0 else values[:, start : start + count]


def otsu_threshold(values: npt.NDArray[np.float32] | Grey) -> float:
    """Return the value that splits the values into two groups with the largest variance between them.

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. Syst., Man, Cybern. 9(1), 1979.
    """
    low, high = float(values.min()), float(values.max())
    if high - low < 1:
        return low - 1  # one group
    counts, edges = np.histogram(values, bins=128)
    middles = (edges[1:] + edges[:-1]) / 2
    below, sums = np.cumsum(counts)[:-1], np.cumsum(counts * middles)[:-1]
    above, total = values.size - below, float((counts * middles).sum())
    # neither group is empty, since the first and last bins of a histogram never are
    between = below * above * (sums / below - (total - sums) / above) ** 2
    return float(edges[1 + int(between.argmax())])
