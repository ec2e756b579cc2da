"""Variants of an ink: the same strokes as if their writer had written them again.

Only additions, multiplications, divisions and square roots are used: they give the same bits on every machine, while
sines and exponentials do not.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.pipeline.config import MAX_PEN_CHANGE

VARIANT_MARK = "@"  # between an ink's key and a variant's number; `key_of` of the inputs percent-encodes it
MAX_LEAN = 0.3  # largest slant, sideways per upward unit: 17 degrees
MAX_TILT = 0.05  # largest rotation, upward per sideways unit: 3 degrees
MAX_STRETCH = 0.25  # how much width may grow relative to height, or height relative to width
MAX_RESIZE = 0.3  # of the usual stroke, up or down, if the canvas limits it; otherwise inks fill the canvas
# amplitude and wavelength along the pen's path of the drift of points (tremor, shape, position), in usual strokes
DRIFTS = ((0.025, 0.35), (0.07, 1.2), (0.15, 6.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How variants differ: `strength` from 0 to 1, and the probability `stroke_dropout` that a stroke is left out."""

    strength: float
    stroke_dropout: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VariedInk:
    """A variant to draw."""

    points: npt.NDArray[np.floating]  # [num_points, 2]
    stroke_lengths: npt.NDArray[np.integer]  # points of each stroke, [num_strokes]
    pen_scale: float  # factor of the canvas's pen width
    stroke_scale: float  # factor of the canvas's largest stroke


def variant_key(key: str, variant: int) -> str:
    """Return the key of a sample; variant 0, the ink as it was written, has the ink's key."""
    return f"{key}{VARIANT_MARK}{variant}" if variant else key


def vary_ink(
    points: npt.NDArray[np.floating], stroke_lengths: npt.NDArray[np.integer], *, key: str, variation: Variation
) -> VariedInk:
    """Make a variant of an ink: slant, proportions, rotation, drift of the pen and pen width change at random.

    At least one stroke stays. Sizes are measured on the ink itself, so its units do not matter. `points` are
    [num_points, 2], `stroke_lengths` the points of each stroke. The sample's `key`, which differs between variants, and
    the seed decide all random numbers. Raises LatexifyError if a coordinate is not finite.
    """
    if not np.isfinite(points).all():
        raise LatexifyError("the ink cannot be varied: a coordinate is not a finite number")
    digest = hashlib.blake2b(f"{variation.seed}\n{key}".encode(), digest_size=16).digest()
    random = np.random.default_rng(np.frombuffer(digest, dtype="<u4"))
    lean, tilt, stretch, pen = (random.random(4) * 2 - 1) * variation.strength
    chances = random.random(len(stroke_lengths))
    kept = chances >= min(variation.stroke_dropout, chances.max())  # at least one
    written = points[np.repeat(kept, stroke_lengths)].astype(np.float64)
    stroke_lengths = stroke_lengths[kept]
    middle = (written.min(axis=0) + written.max(axis=0)) / 2
    written -= middle
    written += _drift(written, stroke_lengths, random) * variation.strength
    x, y = written.T
    x = (x - lean * MAX_LEAN * y) * _ratio(stretch * MAX_STRETCH)
    # a rotation by atan(turn) that also enlarges a little, which does not matter because drawing scales the ink
    turn = tilt * MAX_TILT
    varied = np.stack([x - turn * y, turn * x + y], axis=1) + middle
    size = (random.random() * 2 - 1) * variation.strength
    return VariedInk(
        points=varied,
        stroke_lengths=stroke_lengths,
        pen_scale=1 + pen * MAX_PEN_CHANGE,
        stroke_scale=_ratio(size * MAX_RESIZE),
    )


def _ratio(change: float) -> float:
    """Return a factor that is above 1 as often and as far as below."""
    return 1 + change if change >= 0 else 1 / (1 - change)


def _drift(
    points: npt.NDArray[np.float64], stroke_lengths: npt.NDArray[np.integer], random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the drift of each point: noise that is smooth along the pen's path, also between strokes."""
    steps = np.diff(points, axis=0, prepend=points[:1])
    distance = np.cumsum(np.sqrt(steps[:, 0] ** 2 + steps[:, 1] ** 2))
    usual = _usual_stroke(points, stroke_lengths)
    drift = np.zeros_like(points)
    for amplitude, wavelength in DRIFTS:
        # at most one wave per point, because an ink of dots far apart would have millions
        length = max(wavelength * usual, float(distance[-1]) / len(points))
        if length > 0:
            drift += amplitude * usual * _noise(distance / length, random)
    return drift


def _usual_stroke(points: npt.NDArray[np.float64], stroke_lengths: npt.NDArray[np.integer]) -> float:
    """Return the median of the strokes' sizes (the longer sides of their boxes), without dots."""
    starts = np.cumsum(stroke_lengths) - stroke_lengths
    sizes = (np.maximum.reduceat(points, starts) - np.minimum.reduceat(points, starts)).max(axis=1)
    return float(np.median(sizes[sizes > 0])) if (sizes > 0).any() else 0.0


def _noise(position: npt.NDArray[np.float64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return smooth noise from -1 to 1, [n, 2], at positions that increase from 0, float64 [n].

    This is value noise: random at whole numbers, interpolated between them by 3t² - 2t³.
    """
    values = random.random((int(position[-1]) + 2, 2)) * 2 - 1
    before = position.astype(np.int64)
    part = (position - before)[:, np.newaxis]
    weight = part * part * (3 - 2 * part)
    noise: npt.NDArray[np.float64] = values[before] * (1 - weight) + values[before + 1] * weight
    return noise
