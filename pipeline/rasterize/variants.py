"""Variants of an ink: the same strokes as if the writer had written them once more.

Only additions, multiplications, divisions and square roots are used, which give the same bits on every machine, as
sines and exponentials do not.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError
from latexify.pipeline.config import MAX_PEN_CHANGE

VARIANT_MARK = "@"
"""Separates the key of an ink from the number of a variant; `latexify.pipeline.inputs.keys.key_of` percent-encodes it."""

MAX_LEAN = 0.3
"""Sideways per upward unit: 17 degrees."""

MAX_TILT = 0.05
"""Upward per sideways unit: 3 degrees."""

MAX_STRETCH = 0.25
"""By how much width may grow against height, or height against width."""

MAX_RESIZE = 0.3
"""By how much the usual stroke may be larger or smaller, where the canvas limits it. Else ink fills the canvas."""

DRIFTS = ((0.025, 0.35), (0.07, 1.2), (0.15, 6.0))
"""How far points stray, and over which way of the pen, both in sizes of a usual stroke: tremor, form, position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """How variants differ. strength: 0 to 1. stroke_dropout: probability that a stroke is left out, 0 to 1."""

    strength: float
    stroke_dropout: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VariedInk:
    """points: floating [num_points, 2]. stroke_lengths: [num_strokes].

    pen_scale, stroke_scale: factors of the canvas's pen and of its largest stroke.
    """

    points: npt.NDArray[np.floating]
    stroke_lengths: npt.NDArray[np.integer]
    pen_scale: float
    stroke_scale: float


def variant_key(key: str, variant: int) -> str:
    """Key of a sample: that of its ink for variant 0, the plain one."""
    return f"{key}{VARIANT_MARK}{variant}" if variant else key


def vary_ink(
    points: npt.NDArray[np.floating], stroke_lengths: npt.NDArray[np.integer], *, key: str, variation: Variation
) -> VariedInk:
    """Write the ink once more, as (seed, key) says; `key` is the sample's, so it tells variants apart.

    points: [num_points, 2]. Slant, proportions, a small rotation, drift of the pen and its width change;
    at least one stroke stays. Sizes are measured on the ink itself, so its units do not matter.
    Raises LatexifyError where a coordinate is not finite.
    """
    if not np.isfinite(points).all():
        raise LatexifyError("the ink cannot be varied: a coordinate is not a finite number")
    digest = hashlib.blake2b(f"{variation.seed}\n{key}".encode(), digest_size=16).digest()
    random = np.random.default_rng(np.frombuffer(digest, dtype="<u4"))
    lean, tilt, stretch, pen = (random.random(4) * 2 - 1) * variation.strength
    kept = _kept_strokes(random.random(len(stroke_lengths)), variation.stroke_dropout)
    written = points[np.repeat(kept, stroke_lengths)].astype(np.float64)
    stroke_lengths = stroke_lengths[kept]
    middle = (written.min(axis=0) + written.max(axis=0)) / 2
    written -= middle
    written += _drift(written, stroke_lengths, random) * variation.strength
    x, y = written.T
    x = (x - lean * MAX_LEAN * y) * _ratio(stretch * MAX_STRETCH)
    # a rotation by atan(tilt), a little enlarged: drawing fits the size to the canvas anyway
    turn = tilt * MAX_TILT
    varied = np.stack([x - turn * y, turn * x + y], axis=1) + middle
    size = (random.random() * 2 - 1) * variation.strength
    return VariedInk(
        points=varied,
        stroke_lengths=stroke_lengths,
        pen_scale=1 + pen * MAX_PEN_CHANGE,
        stroke_scale=_ratio(size * MAX_RESIZE),
    )


def _kept_strokes(chances: npt.NDArray[np.float64], dropout: float) -> npt.NDArray[np.bool_]:
    kept = chances >= dropout
    kept[chances.argmax()] = True
    return kept


def _ratio(change: float) -> float:
    """A factor that is as often and as far above 1 as below."""
    return 1 + change if change >= 0 else 1 / (1 - change)


def _drift(
    points: npt.NDArray[np.float64], stroke_lengths: npt.NDArray[np.integer], random: np.random.Generator
) -> npt.NDArray[np.float64]:
    """How far each point strays: noise, smooth along the way of the pen, that between strokes included."""
    steps = np.diff(points, axis=0, prepend=points[:1])
    way = np.cumsum(np.sqrt(steps[:, 0] ** 2 + steps[:, 1] ** 2))
    usual = _usual_stroke(points, stroke_lengths)
    drift = np.zeros_like(points)
    for reach, wave in DRIFTS:
        # not more waves than points: an ink of dots far apart would have millions
        length = max(wave * usual, float(way[-1]) / len(points))
        if length > 0:
            drift += reach * usual * _noise(way / length, random)
    return drift


def _usual_stroke(points: npt.NDArray[np.float64], stroke_lengths: npt.NDArray[np.integer]) -> float:
    """The median of the strokes' sizes (the longer side of each one's box), of those that are not dots."""
    starts = np.cumsum(stroke_lengths) - stroke_lengths
    sizes = (np.maximum.reduceat(points, starts) - np.minimum.reduceat(points, starts)).max(axis=1)
    return float(np.median(sizes[sizes > 0])) if (sizes > 0).any() else 0.0


def _noise(way: npt.NDArray[np.float64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Smooth noise at the places `way`, float64 [n] upward from 0: [n, 2] in -1 to 1, random at every whole number.

    Value noise: between whole numbers it goes along 3t² - 2t³.
    """
    values = random.random((int(way[-1]) + 2, 2)) * 2 - 1
    before = way.astype(np.int64)
    part = (way - before)[:, np.newaxis]
    weight = part * part * (3 - 2 * part)
    noise: npt.NDArray[np.float64] = values[before] * (1 - weight) + values[before + 1] * weight
    return noise
