"""From placed strokes to what a tablet records: points with times, shaken and slanted by the writer's hand."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from latexify.pipeline.synthesis.fonts.hand import Style
from latexify.pipeline.synthesis.typeset.boxes import Floats, Placed, ink_of, on_page

Counts = npt.NDArray[np.int64]

_MARGIN_PX = 20.0
_COARSEST = 0.09
"""Greatest distance of samples, in capital heights, however fast and small somebody writes."""
_LIFT_SPEED = 2.0
"""Speed of the pen in the air, against its speed on the paper."""


def record(glyphs: Sequence[Placed], style: Style, rng: np.random.Generator) -> tuple[Floats, Counts]:
    """Write placed glyphs with this writer's pen.

    Returns samples as x, y (positive device pixels, y downward) and time (whole ms, rising), float64 [num_points, 3],
    and the number of samples of each stroke.
    """
    points, stroke_lengths = _placed(glyphs, style, rng)
    lengths = np.array(stroke_lengths)
    points = _shaken(points, lengths, style, rng)
    slant = style.slant + 0.03 * rng.standard_normal()
    wave = (style.drift, rng.uniform(0.5, 1.2), rng.uniform(0, 2 * np.pi))
    angle = style.rotation_rad + 0.012 * rng.standard_normal()
    points = on_page(points, wave, slant=slant, aspect=style.aspect, angle=angle) * style.capital_px
    points += rng.uniform(_MARGIN_PX, 4 * _MARGIN_PX, 2) - points.min(axis=0)
    return _sampled(points, lengths, style, rng)


def _placed(glyphs: Sequence[Placed], style: Style, rng: np.random.Generator) -> tuple[Floats, list[int]]:
    """All strokes where the layout puts them; each glyph a little off in place, size and angle."""
    places = np.array([placed[1:] for placed in glyphs])
    origin, scale = places[:, :2], places[:, 2:]
    noise = style.unsteadiness * rng.standard_normal((len(glyphs), 5))
    size = np.minimum(scale.min(axis=1, keepdims=True), 1.0)
    # A wide glyph or bar turns less than a narrow one: its end would go astray.
    widths = np.array([placed.glyph.width * placed.scale_x for placed in glyphs])
    return ink_of(
        glyphs,
        pivots=np.zeros_like(origin),
        centres=origin + 0.022 * noise[:, :2] * size,
        scale=scale * (1 + 0.035 * noise[:, 2:4]),
        angle=0.045 * noise[:, 4] / np.maximum(1.0, 2 * widths),
    )


def _along(points: Floats, lengths: Counts) -> Floats:
    """Way of the pen up to each point, on the paper only."""
    steps = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
    steps[np.cumsum(lengths)[:-1]] = 0.0
    return np.cumsum(steps)


def _shaken(points: Floats, lengths: Counts, style: Style, rng: np.random.Generator) -> Floats:
    """Smooth noise along the strokes: slow waves of the way that the pen has gone, so neighbours move together."""
    along = _along(points, lengths)[:, None, None]
    waves = rng.uniform([2.5, 5.0, 9.0], [5.0, 9.0, 14.0], (2, 3))
    sizes = style.tremor * np.array([1.0, 0.6, 0.3]) * rng.standard_normal((2, 3))
    shaken: Floats = points + (sizes * np.sin(along * waves + rng.uniform(0, 2 * np.pi, (2, 3)))).sum(axis=2)
    return shaken


def _sampled(points: Floats, lengths: Counts, style: Style, rng: np.random.Generator) -> tuple[Floats, Counts]:
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
    times = np.rint((np.arange(stops[-1]) + waits[stroke]) * style.interval_ms)
    return np.column_stack([x, y, times]), counts
