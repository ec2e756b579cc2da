"""Stroke glyphs of every terminal: from the Hershey fonts and from `shapes`, as pen-ready polylines.

Floats are in units of the capital height: x to the right from the ink's left edge, y downward from the baseline.
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from HersheyFonts import HersheyFonts

from latexify.pipeline.synthesis.fonts.shapes import SHAPES
from latexify.pipeline.synthesis.formulas.symbols import GREEK_LOWER, GREEK_UPPER, LETTERS
from latexify.pipeline.synthesis.typeset.boxes import Floats, Glyph, glyph_of

STEP = 0.035
"""Distance of an outline's points, in capital heights: fine enough for every curve, coarse enough to be quick."""
_HERSHEY_BASELINE, _HERSHEY_CAPITAL = 9.0, 21.0
# Characters of the `greek` and `mathlow` fonts, found by looking at them.
_GREEK_KEYS = dict(zip(GREEK_LOWER + GREEK_UPPER, "abgdezhqklmnxprstfcywGDQLFYW", strict=True))
# Print forms that a reader would take for another symbol; the vartheta that the font has for theta.
_NOT_FROM_PRINT = {"l", "I", "x", "\\theta", "t"}
# Script forms that a reader would take for another letter, and those with a loop that closes when small.
_NOT_FROM_SCRIPT = set("IQrsvbVUGZAFTJeo")
_SCRIPT_SCALE = 1.25
_SCRIPT_ASCENDER_SCALE = 1.05
"""How much the script font's small letters must grow to stand beside the print font's; its ascenders are tall."""


@cache
def variants(token: str) -> tuple[Glyph, ...]:
    r"""All glyphs of a terminal that is not a word such as ``\sin``, at least one. Raises KeyError if it has none."""
    drawn = [glyph_of(token, _parse(shape)) for shape in SHAPES.get(token, ())]
    glyphs = [*drawn, *(_hershey(token, font, key, scale) for font, key, scale in _font_sources(token))]
    if not glyphs:
        raise KeyError(token)
    return tuple(glyphs)


def _font_sources(token: str) -> Iterator[tuple[str, str, float]]:
    """Yield font, character and scale of the usable fonts."""
    if token in GREEK_LOWER + GREEK_UPPER:
        if token not in _NOT_FROM_PRINT:
            yield "greek", _GREEK_KEYS[token], 1.0
    elif token.isalnum():
        if token not in _NOT_FROM_PRINT:
            yield "futural", token, 1.0
        if token in LETTERS and token not in _NOT_FROM_SCRIPT:
            small = _SCRIPT_ASCENDER_SCALE if token in "bdfhjklt" else _SCRIPT_SCALE
            yield "scripts", token, 1.0 if token.isupper() else small


@cache
def _font(name: str) -> dict[str, list[list[tuple[float, float]]]]:
    font = HersheyFonts()
    font.load_default_font(name)
    return {key: [list(stroke) for stroke in glyph.strokes] for key, glyph in font.all_glyphs.items()}


def _hershey(token: str, font: str, key: str, scale: float) -> Glyph:
    strokes = [np.array(stroke, dtype=np.float64) for stroke in _joined(_font(font)[key])]
    unit = scale / _HERSHEY_CAPITAL
    return glyph_of(token, [resample((stroke - [0.0, _HERSHEY_BASELINE]) * unit) for stroke in strokes])


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


def _parse(shape: str) -> list[Floats]:
    strokes = []
    for text in shape.split(";"):
        curved = text.strip().startswith("~")
        pairs = [pair.split(",") for pair in text.replace("~", " ").split()]
        points = np.array(pairs, dtype=np.float64) * [0.01, -0.01]
        strokes.append(resample(_spline(points) if curved else points))
    return strokes


def _spline(points: Floats, *, per_span: int = 12) -> Floats:
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


def resample(points: Floats, *, step: float = STEP) -> Floats:
    """The same polyline with points at equal distances of about `step`; both ends stay."""
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    count = max(2, round(along[-1] / step) + 1)
    at = np.linspace(0.0, along[-1], count)
    return np.column_stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])])


def rounded(points: Floats, radius: float) -> Floats:
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
