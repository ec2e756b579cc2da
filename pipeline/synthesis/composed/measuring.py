"""Measures how high and deep people write each symbol: lines of writing and classes of symbols, fitted together.

A line has a baseline and a size, a class a top and a bottom in units of that size. Given classes, a line is a linear
regression of its symbols' extents; given lines, a class is the median of its symbols. Alternating between the two from
the proportions of a printed font converges in a few rounds. Lengths are in capital heights, y downward.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from latexify.pipeline.synthesis.composed.bank import Ints
from latexify.pipeline.synthesis.formulas.symbols import FRACTION_BAR, RADICAL
from latexify.pipeline.synthesis.typeset.boxes import Floats

ROUNDS = 6
_SPREAD_FLOOR = 0.06
"""Least spread of a class, which limits the weight of its symbols."""
_LEAST_INFORMATION = 0.12
"""Least information of a sound line, as weight times squared reach; a digit alone has 0.12 or more, a minus 0."""
_LEAST_SYMBOLS = 3
"""A class with fewer symbols keeps its printed proportions."""
_DIGITS = frozenset("0123456789")
_PRINTED: dict[str, list[int]] = json.loads(Path(__file__).with_name("proportions.json").read_text(encoding="utf-8"))
"""Extents of printed symbols in TeX's font metrics; made by `scripts/printed_proportions.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Symbols on lines, as columns [num_symbols]."""

    tokens: Sequence[str]
    token: Ints  # index into `tokens`
    line: Ints  # index of the line
    low: Floats  # float64 [num_symbols, 2], the corners of the ink
    high: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Classes, [num_tokens], and lines, [num_lines]."""

    top: Floats  # from the baseline, y downward
    bottom: Floats
    size: Floats  # in units of the file
    baseline: Floats
    sound: npt.NDArray[np.bool_]  # whether the line's symbols determine its size and baseline


def measure(written: Written, *, top: Floats, bottom: Floats) -> Measures:
    """Fit lines and classes, starting from the classes' printed proportions (`top`, `bottom`: [num_tokens])."""
    num_lines = int(written.line.max(initial=-1)) + 1
    spread = np.full(len(written.tokens), 0.2)
    top, bottom = top.copy(), bottom.copy()
    size, baseline, sound = _fit_lines(written, top, bottom, spread, num_lines)
    for _ in range(ROUNDS):
        on_sound = sound[written.line]
        tops = (written.low[:, 1] - baseline[written.line]) / size[written.line]
        bottoms = (written.high[:, 1] - baseline[written.line]) / size[written.line]
        for token in range(len(written.tokens)):
            own = on_sound & (written.token == token)
            if np.count_nonzero(own) < _LEAST_SYMBOLS:
                continue
            top[token], bottom[token] = np.median(tops[own]), np.median(bottoms[own])
            deviation = np.concatenate([tops[own] - top[token], bottoms[own] - bottom[token]])
            spread[token] = 1.48 * np.median(np.abs(deviation))
        _calibrate(written.tokens, top, bottom)
        size, baseline, sound = _fit_lines(written, top, bottom, spread, num_lines)
    return Measures(top=top, bottom=bottom, size=size, baseline=baseline, sound=sound)


def _calibrate(tokens: Sequence[str], top: Floats, bottom: Floats) -> None:
    """Fix the unit, in place: digits have height 1 and stand on the baseline."""
    digits = [index for index, token in enumerate(tokens) if token in _DIGITS]
    if digits:
        base = float(np.median(bottom[digits]))
        unit = base - float(np.median(top[digits]))
        top[:], bottom[:] = (top - base) / unit, (bottom - base) / unit


def _fit_lines(
    written: Written, top: Floats, bottom: Floats, spread: Floats, num_lines: int
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Regress extents on the classes' proportions, line by line, with weights: y = baseline + size * proportion."""
    line = np.concatenate([written.line, written.line])
    expected = np.concatenate([top[written.token], bottom[written.token]])
    edges = np.concatenate([written.low[:, 1], written.high[:, 1]])
    weight = (_SPREAD_FLOOR / np.maximum(spread[written.token], _SPREAD_FLOOR)) ** 2
    weight = np.concatenate([weight, weight])

    def total(values: Floats) -> Floats:
        return np.bincount(line, weight * values, num_lines).astype(np.float64)

    weights = np.maximum(total(np.ones(len(line))), 1e-12)
    mean_expected, mean_edge = total(expected) / weights, total(edges) / weights
    reach = total((expected - mean_expected[line]) ** 2)
    rise = total((expected - mean_expected[line]) * (edges - mean_edge[line]))
    size = np.where(reach > 0, rise / np.maximum(reach, 1e-12), 0.0)
    sound = (reach >= _LEAST_INFORMATION) & (size > 0)
    size = np.where(sound, size, 1.0)
    return size, mean_edge - size * mean_expected, sound


class Proportions(NamedTuple):
    """Extents of a printed symbol in capital heights: y of top and bottom, from the baseline downward; width of box."""

    top: float
    bottom: float
    width: float


_UNKNOWN = Proportions(-1.0, 0.0, 0.7)
_DRAWN = {FRACTION_BAR: Proportions(-0.40, -0.36, 1.5), RADICAL: Proportions(-1.15, 0.1, 1.2)}
"""Signs without a size of their own."""


@cache
def printed(token: str) -> Proportions:
    """The proportions of a token; those of a capital for commands that are not in the table."""
    if token in _DRAWN:
        return _DRAWN[token]
    extents = _PRINTED.get(token, _PRINTED[""] if len(token) == 1 and not token.isascii() else None)
    capital = -_PRINTED["H"][0]
    return _UNKNOWN if extents is None else Proportions(*(value / capital for value in extents))
