"""Stroke glyphs of every terminal: from the Hershey fonts and from `shapes`, as pen-ready polylines.

Outlines are in units of the capital height: x to the right from the ink's left edge, y downward from the baseline.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from HersheyFonts import HersheyFonts

from latexify.pipeline.synthesis.fonts.shapes import SHAPES
from latexify.pipeline.synthesis.formulas.symbols import GREEK_LOWER, GREEK_UPPER, LATIN_LOWER, LATIN_UPPER

Outline = npt.NDArray[np.float64]
"""One stroke of a glyph: float64 [num_points, 2], in capital heights."""

STEP = 0.035
"""Distance of an outline's points, in capital heights: fine enough for every curve, coarse enough to be quick."""

_HERSHEY_BASELINE = 9.0
_HERSHEY_CAPITAL = 21.0

# Characters of the `greek` and `mathlow` fonts, found by looking at them.
_GREEK_KEYS = dict(zip(GREEK_LOWER, "abgdezhqklmnxprstfcyw", strict=True))
_GREEK_CAPITAL_KEYS = dict(zip(GREEK_UPPER, "GDQLFYW", strict=True))
# Print forms that a reader would take for another symbol; the vartheta that the font has for theta.
_NOT_FROM_PRINT = {"l", "I", "x", "\\theta", "t"}
# Script forms that a reader would take for another letter, and those with a loop that closes when small.
_NOT_FROM_SCRIPT = set("IQrsvbVUGZAFTJeo")
_SCRIPT_SCALE = 1.25
_SCRIPT_ASCENDER_SCALE = 1.05
"""How much the script font's small letters must grow to stand beside the print font's; its ascenders are tall."""


@dataclass(frozen=True, slots=True)
class Glyph:
    """A glyph at unit size. width: of the ink; `top` and `bottom`: its extent in y (downward), in capital heights."""

    strokes: tuple[Outline, ...]
    width: float
    top: float
    bottom: float


def make_glyph(strokes: list[Outline]) -> Glyph:
    """A glyph of these strokes, moved so that its ink begins at x = 0."""
    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    shift = np.array([low[0], 0.0])
    return Glyph(tuple(stroke - shift for stroke in strokes), float(high[0] - low[0]), float(low[1]), float(high[1]))


@cache
def variants(token: str) -> tuple[Glyph, ...]:
    r"""All glyphs of a terminal that is written with one glyph (not a word such as ``\sin``); at least one.

    Raises KeyError where the token has no glyph.
    """
    drawn = [make_glyph(_parse(shape)) for shape in SHAPES.get(token, ())]
    found = drawn + _from_fonts(token)
    if not found:
        raise KeyError(token)
    return tuple(found)


def _from_fonts(token: str) -> list[Glyph]:
    glyphs = []
    if token in GREEK_LOWER + GREEK_UPPER:
        if token not in _NOT_FROM_PRINT:
            glyphs.append(_hershey("greek", {**_GREEK_KEYS, **_GREEK_CAPITAL_KEYS}[token], 1.0))
    elif token.isalnum():
        if token not in _NOT_FROM_PRINT:
            glyphs.append(_hershey("futural", token, 1.0))
        if token in LATIN_LOWER + LATIN_UPPER and token not in _NOT_FROM_SCRIPT:
            glyphs.append(_hershey("scripts", token, _script_scale(token)))
    return glyphs


def _script_scale(letter: str) -> float:
    if letter.isupper():
        return 1.0
    return _SCRIPT_ASCENDER_SCALE if letter in "bdfhjklt" else _SCRIPT_SCALE


@cache
def _font(name: str) -> dict[str, list[list[tuple[float, float]]]]:
    font = HersheyFonts()
    font.load_default_font(name)
    return {key: [list(stroke) for stroke in glyph.strokes] for key, glyph in font.all_glyphs.items()}


def _hershey(font: str, key: str, scale: float) -> Glyph:
    strokes = [np.array(stroke, dtype=np.float64) for stroke in _joined(_font(font)[key])]
    unit = scale / _HERSHEY_CAPITAL
    return make_glyph([resample((stroke - [0.0, _HERSHEY_BASELINE]) * unit) for stroke in strokes])


def _joined(strokes: list[list[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    """Join each stroke to the one before where it goes on from its end, as a pen would."""
    joined: list[list[tuple[float, float]]] = []
    for stroke in strokes:
        if joined and joined[-1][-1] == stroke[0]:
            joined[-1] = joined[-1] + stroke[1:]
        elif joined and joined[-1][-1] == stroke[-1]:
            joined[-1] = joined[-1] + stroke[-2::-1]
        else:
            joined.append(stroke)
    return joined


def _parse(shape: str) -> list[Outline]:
    strokes = []
    for text in shape.split(";"):
        curved = text.strip().startswith("~")
        pairs = [pair.split(",") for pair in text.replace("~", " ").split()]
        points = np.array(pairs, dtype=np.float64) * [0.01, -0.01]
        strokes.append(resample(_spline(points) if curved else points))
    return strokes


def _spline(points: Outline, *, per_span: int = 12) -> Outline:
    """A uniform Catmull-Rom curve through all points."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    before, start, end, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0.0, 1.0, per_span, endpoint=False)[:, None, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def resample(points: Outline, *, step: float = STEP) -> Outline:
    """The same polyline with points at equal distances of about `step`; both ends stay."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    count = max(2, round(along[-1] / step) + 1)
    at = np.linspace(0.0, along[-1], count)
    return np.column_stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])])


def rounded(points: Outline, radius: float) -> Outline:
    """Round the corners of an evenly sampled stroke: a Gaussian of `radius` (capital heights) along it, ends fixed."""
    reach = min(int(3 * radius / STEP), len(points) - 1)
    if reach < 1:
        return points
    offsets = np.arange(-reach, reach + 1) * STEP
    kernel = np.exp(-0.5 * (offsets / radius) ** 2)
    kernel /= kernel.sum()
    # Reflected about its end points, the curve passes through them.
    head, tail = 2 * points[0] - points[reach:0:-1], 2 * points[-1] - points[-2 : -2 - reach : -1]
    padded = np.concatenate([head, points, tail])
    return np.column_stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in (0, 1)])
