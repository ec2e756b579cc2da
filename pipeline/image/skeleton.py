"""Trace the course of the pen on a mask of ink: lines through the middle of its strokes.

Thinning: Z. Guo and R. W. Hall, "Parallel thinning with two-subiteration algorithms", CACM 32(3), 1989, algorithm A1.
Unlike the better known algorithm of Zhang and Suen, it does not shorten diagonal lines that are two pixels wide.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from latexify.pipeline.inks.ink import Stroke

Mask = npt.NDArray[np.bool_]
THINNED_WIDTH_PX = 6.0
"""The mask is scaled to this stroke width before thinning: enough for smooth lines, and still fast."""
MAX_SIDE_PX = 2400  # largest side of the scaled mask
MAX_INK_PIXELS = 400_000
"""Most ink on the scaled mask, which bounds the time: over 60,000 pixels of lines. A long formula has 20,000."""
MIN_SPUR_FACTOR = 0.8  # branches shorter than this many stroke widths are the corners of a stroke's end, not strokes
SMOOTHING_POINTS = 5  # width of the running mean over the points of a line; odd


def skeletonize(mask: Mask, *, width_px: float) -> list[Stroke]:
    """Trace lines through the middle of the strokes, `width_px` wide, of a mask: bool [height, width], not empty.

    Returns the lines in no particular order, each float32 [num_points, 2] of x and y in pixels of the mask. Lines are
    cut where they meet or cross. A dot is a line of one point.
    """
    scale = min(
        THINNED_WIDTH_PX / width_px,
        MAX_SIDE_PX / max(mask.shape),
        (MAX_INK_PIXELS / np.count_nonzero(mask)) ** 0.5,
    )
    thin, pitch = _thin(_resize(mask, scale))
    lines = _remove_spurs(list(_lines(_neighbours(thin, pitch))), shorter_than=MIN_SPUR_FACTOR * width_px * scale)
    points = (np.array([divmod(pixel, pitch)[::-1] for pixel in line], np.float32) / scale for line in lines)
    return [_smooth(line) for line in points]


def _resize(mask: Mask, scale: float) -> Mask:
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    image = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BICUBIC)
    resized = np.asarray(image) > 110
    return resized if resized.any() else np.ones_like(resized)


def _removal_tables() -> tuple[Mask, Mask]:
    """For both subiterations: whether a pixel is removed, by its neighbours (one bit each, clockwise from north)."""
    bits = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.bool_)
    north, north_east, east, south_east, south, south_west, west, north_west = bits.T
    crossings = np.array([~bits[:, i] & (bits[:, i + 1] | bits[:, (i + 2) % 8]) for i in (0, 2, 4, 6)])
    pairs = np.array([bits[:, i - 1] | bits[:, i] for i in range(8)])
    num_neighbours = np.minimum(pairs[::2].sum(axis=0), pairs[1::2].sum(axis=0))
    removable = (crossings.sum(axis=0) == 1) & (num_neighbours >= 2) & (num_neighbours <= 3)
    first = removable & ~((south | south_west | ~north_west) & west)
    second = removable & ~((north | north_east | ~south_east) & east)
    return first, second


def _thin(mask: Mask) -> tuple[npt.NDArray[np.int64], int]:
    """Return the skeleton's pixels as ascending numbers ``row * pitch + column``, and the pitch."""
    padded = np.pad(mask, 1)
    pitch, flat = padded.shape[1], padded.ravel().astype(np.uint8)
    clockwise = (-pitch, 1 - pitch, 1, 1 + pitch, pitch, pitch - 1, -1, -pitch - 1)
    pixels, tables = np.flatnonzero(flat), _removal_tables()
    changed = True
    while changed:
        changed = False
        for table in tables:
            code = np.zeros(len(pixels), np.uint8)
            for bit, offset in enumerate(clockwise):
                code |= flat[pixels + offset] << np.uint8(bit)
            removed = table[code]
            flat[pixels[removed]] = 0
            pixels = pixels[~removed]
            changed |= bool(removed.any())
    return pixels, pitch


def _neighbours(pixels: npt.NDArray[np.int64], pitch: int) -> dict[int, list[int]]:
    """Neighbours of each pixel; diagonal ones only where no pixel beside the diagonal connects the two."""
    present = set(pixels.tolist())
    neighbours: dict[int, list[int]] = {}
    for pixel in present:
        straight = [pixel + step for step in (-pitch, 1, pitch, -1) if pixel + step in present]
        diagonal = [
            pixel + down + side
            for down in (-pitch, pitch)
            for side in (-1, 1)
            if pixel + down + side in present and pixel + down not in present and pixel + side not in present
        ]
        neighbours[pixel] = straight + diagonal
    return dict(sorted(neighbours.items()))


def _lines(neighbours: dict[int, list[int]]) -> Iterator[tuple[list[int], int]]:
    """Cut the skeleton into lines at ends and forks; yield each with its number of free ends (0 to 2)."""
    walked: set[tuple[int, int]] = set()
    ends_first = sorted(neighbours, key=lambda pixel: len(neighbours[pixel]) == 2)
    for start in ends_first:
        if not neighbours[start]:
            yield [start], 2
        for step in neighbours[start]:
            if (start, step) in walked:
                continue
            line = _walk(start, step, neighbours, walked)
            yield line, sum(len(neighbours[end]) == 1 for end in (line[0], line[-1]))


def _walk(start: int, step: int, neighbours: dict[int, list[int]], walked: set[tuple[int, int]]) -> list[int]:
    """Walk from `start` over `step` to the next end or fork, or in a circle back to `start`."""
    line, before, pixel = [start], start, step
    while True:
        walked.update(((before, pixel), (pixel, before)))
        line.append(pixel)
        ways = neighbours[pixel]
        if len(ways) != 2 or pixel == start:
            return line
        before, pixel = pixel, ways[0] if ways[1] == before else ways[1]


def _remove_spurs(lines: list[tuple[list[int], int]], *, shorter_than: float) -> list[list[int]]:
    """Remove short lines with one free end, which thinning leaves at corners."""
    return [line for line, num_free in lines if num_free != 1 or len(line) > shorter_than]


def _smooth(points: Stroke) -> Stroke:
    """Take a running mean that keeps the first and last point."""
    if len(points) <= SMOOTHING_POINTS:
        return points
    count = len(points) - SMOOTHING_POINTS + 1
    inner = np.stack([points[start : count + start] for start in range(SMOOTHING_POINTS)]).mean(axis=0)
    return np.concatenate([points[:1], inner, points[-1:]])
