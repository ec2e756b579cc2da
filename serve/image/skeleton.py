"""The course of the pen on a mask of ink: lines through the middle of its strokes.

Thinning: Z. Guo and R. W. Hall, "Parallel thinning with two-subiteration algorithms", CACM 32(3), 1989, algorithm A1.
Unlike the better known one of Zhang and Suen, it does not eat slanting lines of two pixels' width from their ends.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

from latexify.pipeline.inks.ink import Stroke

Mask = npt.NDArray[np.bool_]

THINNED_WIDTH_PX = 6.0
"""Width of the strokes where they are thinned: enough for smooth lines, no more than is quick."""

MAX_SIDE_PX = 2400

SPUR_SHARE = 0.8
"""Of the stroke width: shorter branches are the corners of a stroke's end, not strokes."""

SMOOTHED = 5
"""Points that each point of a line is the mean of."""


def trace_strokes(mask: Mask, *, width_px: float) -> list[Stroke]:
    """Lines through the middle of the strokes of a mask, in no particular order: each float32 [num_points, 2], x and y.

    mask: bool [height, width] with at least one pixel; width_px: of its strokes. Points are in pixels of the mask, cut
    where lines meet or cross; a dot is a line of one point.
    """
    scale = min(THINNED_WIDTH_PX / width_px, MAX_SIDE_PX / max(mask.shape))
    thin, pitch = _thinned(_resized(mask, scale))
    lines = _without_spurs(list(_lines(_neighbours(thin, pitch))), shorter_than=SPUR_SHARE * width_px * scale)
    points = (np.array([divmod(pixel, pitch)[::-1] for pixel in line], np.float32) / scale for line in lines)
    return [_smoothed(line) for line in points]


def _resized(mask: Mask, scale: float) -> Mask:
    size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
    image = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BICUBIC)
    resized = np.asarray(image) > 110
    return resized if resized.any() else np.ones_like(resized)


def _tables() -> tuple[Mask, Mask]:
    """For both halves of a pass, whether a pixel with these neighbours (a bit each, clockwise from above) goes."""
    bits = ((np.arange(256)[:, None] >> np.arange(8)) & 1).astype(np.bool_)
    north, north_east, east, south_east, south, south_west, west, north_west = bits.T
    pairs = np.array([~bits[:, at] & (bits[:, at + 1] | bits[:, (at + 2) % 8]) for at in (0, 2, 4, 6)])
    rounds = np.array([bits[:, at - 1] | bits[:, at] for at in range(8)])
    count = np.minimum(rounds[::2].sum(axis=0), rounds[1::2].sum(axis=0))
    ordinary = (pairs.sum(axis=0) == 1) & (count >= 2) & (count <= 3)
    first = ordinary & ~((south | south_west | ~north_west) & west)
    second = ordinary & ~((north | north_east | ~south_east) & east)
    return first, second


def _offsets(pitch: int) -> list[int]:
    """To the eight neighbours, clockwise from above."""
    return [-pitch, 1 - pitch, 1, 1 + pitch, pitch, pitch - 1, -1, -pitch - 1]


def _thinned(mask: Mask) -> tuple[npt.NDArray[np.int64], int]:
    """Pixels of the skeleton as numbers row * pitch + column, ascending, and the pitch."""
    padded = np.pad(mask, 1)
    pitch, flat = padded.shape[1], padded.ravel().astype(np.uint8)
    pixels, tables = np.flatnonzero(flat), _tables()
    thinning = True
    while thinning:
        thinning = False
        for table in tables:
            code = np.zeros(len(pixels), np.uint8)
            for bit, offset in enumerate(_offsets(pitch)):
                code |= flat[pixels + offset] << np.uint8(bit)
            goes = table[code]
            flat[pixels[goes]] = 0
            pixels = pixels[~goes]
            thinning |= bool(goes.any())
    return pixels, pitch


def _neighbours(pixels: npt.NDArray[np.int64], pitch: int) -> dict[int, list[int]]:
    """The neighbours of each pixel; across a corner only where there is no way round it."""
    present = set(pixels.tolist())
    found: dict[int, list[int]] = {}
    for pixel in present:
        straight = [pixel + step for step in (-pitch, 1, pitch, -1) if pixel + step in present]
        across = [
            pixel + down + side
            for down in (-pitch, pitch)
            for side in (-1, 1)
            if pixel + down + side in present and pixel + down not in present and pixel + side not in present
        ]
        found[pixel] = straight + across
    return dict(sorted(found.items()))


def _lines(neighbours: dict[int, list[int]]) -> Iterator[tuple[list[int], int]]:
    """Cut into lines at ends and forks; with each, how many of its two ends are free."""
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
    """From `start` by `step` to the next end or fork, or round to `start`."""
    line, before, pixel = [start], start, step
    while True:
        walked.update(((before, pixel), (pixel, before)))
        line.append(pixel)
        ways = neighbours[pixel]
        if len(ways) != 2 or pixel == start:
            return line
        before, pixel = pixel, ways[0] if ways[1] == before else ways[1]


def _without_spurs(lines: list[tuple[list[int], int]], *, shorter_than: float) -> list[list[int]]:
    """Without the short lines that end freely at one side: thinning puts them at corners."""
    return [line for line, num_free in lines if num_free != 1 or len(line) > shorter_than]


def _smoothed(points: Stroke) -> Stroke:
    """A running mean that leaves the ends where they are and lines closed."""
    if len(points) <= SMOOTHED:
        return points
    half = SMOOTHED // 2
    inner = np.stack([points[start : len(points) - SMOOTHED + 1 + start] for start in range(SMOOTHED)]).mean(axis=0)
    return np.concatenate([points[:1], inner, points[-1:]]) if half else points
