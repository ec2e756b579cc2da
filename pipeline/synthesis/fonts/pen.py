"""From placed strokes to what a tablet records: points with times, shaken and slanted by the writer's hand."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latexify.pipeline.synthesis.fonts.hand import Style
from latexify.pipeline.synthesis.typeset.boxes import Placement

Points = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_MARGIN_PX = 20.0
_COARSEST = 0.09
"""Samples stand no further apart than this, in capital heights, however fast and small somebody writes."""
_LIFT_SPEED = 2.0
"""Speed of the pen in the air, against its speed on the paper."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One recorded stroke. points_px: float64 [num_points, 2], y downward; times_ms: int64 [num_points], rising."""

    points_px: Points
    times_ms: Counts


def record(placements: tuple[Placement, ...], style: Style, rng: np.random.Generator) -> list[Trace]:
    """Write the placed strokes with this writer's pen. All coordinates are positive device pixels."""
    strokes = [stroke for placement in placements for stroke in placement.strokes]
    lengths = np.array([len(stroke) for stroke in strokes])
    points = _shake(_placed(placements, style, rng), lengths, style, rng)
    points = _turned(points, style, rng) * style.capital_px
    points += rng.uniform(_MARGIN_PX, 4 * _MARGIN_PX, 2) - points.min(axis=0)
    return _sampled(points, lengths, style, rng)


def _placed(placements: tuple[Placement, ...], style: Style, rng: np.random.Generator) -> Points:
    """All points of all strokes where the layout puts them; each glyph a little off in place, size and angle."""
    points = np.concatenate([stroke for placement in placements for stroke in placement.strokes])
    counts = [sum(map(len, placement.strokes)) for placement in placements]
    origin = np.array([(p.x, p.y) for p in placements])
    scale = np.array([(p.scale_x, p.scale_y) for p in placements])
    noise = style.unsteadiness * rng.standard_normal((len(placements), 5))
    size = np.minimum(scale.min(axis=1, keepdims=True), 1.0)
    origin = origin + 0.022 * noise[:, :2] * size
    scale = scale * (1 + 0.035 * noise[:, 2:4])
    # A wide glyph or bar turns less than a narrow one: its end would go astray.
    extents = np.array([np.ptp(np.concatenate(p.strokes)[:, 0]) * p.scale_x for p in placements])
    angle = 0.045 * noise[:, 4] / np.maximum(1.0, 2 * extents)
    index = np.repeat(np.arange(len(placements)), counts)
    scaled = points * scale[index]
    x, y = scaled.T
    cos, sin = np.cos(angle)[index], np.sin(angle)[index]
    turned: Points = np.column_stack([x * cos - y * sin, x * sin + y * cos])
    turned += origin[index]
    return turned


def _along(points: Points, lengths: Counts) -> Points:
    """Way of the pen up to each point, on the paper only."""
    steps = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
    steps[np.cumsum(lengths)[:-1]] = 0.0
    return np.cumsum(steps)


def _shake(points: Points, lengths: Counts, style: Style, rng: np.random.Generator) -> Points:
    """Smooth noise along the strokes: slow waves of the way that the pen has gone, so neighbours move together."""
    along = _along(points, lengths)[:, None, None]
    waves = rng.uniform([2.5, 5.0, 9.0], [5.0, 9.0, 14.0], (2, 3))
    sizes = style.tremor * np.array([1.0, 0.6, 0.3]) * rng.standard_normal((2, 3))
    shaken: Points = points + (sizes * np.sin(along * waves + rng.uniform(0, 2 * np.pi, (2, 3)))).sum(axis=2)
    return shaken


def _turned(points: Points, style: Style, rng: np.random.Generator) -> Points:
    """Slant, baseline drift, aspect and rotation of the whole line."""
    x, y = points.T
    slant = style.slant + 0.03 * rng.standard_normal()
    wave = rng.uniform(0.5, 1.2)
    y = y + style.drift * np.sin(wave * x + rng.uniform(0, 2 * np.pi))
    x = (x - slant * y) * style.aspect
    angle = style.rotation_rad + 0.012 * rng.standard_normal()
    return np.column_stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)])


def _sampled(points: Points, lengths: Counts, style: Style, rng: np.random.Generator) -> list[Trace]:
    """Sample every stroke at equal times, the pen slow at both of its ends: points crowd where it starts and stops."""
    last = np.cumsum(lengths) - 1
    first = last - lengths + 1
    # One pixel of way for every lift keeps the strokes apart in a single interpolation.
    lifts = np.repeat(np.arange(len(lengths)), lengths)
    along = _along(points, lengths) + lifts
    ways = along[last] - along[first]
    spacing_px = min(style.spacing_px, _COARSEST * style.capital_px)
    counts = np.maximum(2, np.ceil(ways / spacing_px).astype(np.int64) + 1)
    stops = np.cumsum(counts)
    stroke = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(stops[-1]) - (stops - counts)[stroke]
    part = step / (counts[stroke] - 1)
    part -= style.hesitation * np.sin(2 * np.pi * part) / (2 * np.pi)
    at = along[first][stroke] + part * ways[stroke]
    x, y = (np.interp(at, along, points[:, axis]) for axis in (0, 1))
    jumps = np.hypot(*(points[first[1:]] - points[last[:-1]]).T)
    pauses = jumps / (_LIFT_SPEED * spacing_px) + rng.uniform(4, 12, len(jumps))
    waits = np.concatenate([[0.0], np.cumsum(pauses)])
    times = np.rint((np.arange(stops[-1]) + waits[stroke]) * style.interval_ms).astype(np.int64)
    sampled = np.column_stack([x, y])
    return [
        Trace(sampled[stop - count : stop], times[stop - count : stop])
        for stop, count in zip(stops, counts, strict=True)
    ]
