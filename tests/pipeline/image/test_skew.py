"""A formula that is turned clearly is turned back; others stay as they are."""

from collections.abc import Sequence

import numpy as np
import pytest

from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.image.skew import skew_of, turn_back
from latexify.pipeline.image.strokes import trace_picture
from latexify.pipeline.inks.ink import Stroke
from tests.support.handwriting import ink

SUM = [[(x, 0), (x + 8, 3), (x + 2, 12), (x + 9, 12)] for x in (0, 30, 60, 90, 120, 150)]  # six symbols in a row
EQUATION = [[(0, 0), (6, 8), (0, 16)], [(15, 6), (28, 6)], [(15, 11), (28, 11)], [(40, 0), (46, 8), (40, 16)]]
FRACTION = [[(0, 20), (60, 20)], [(25, 0), (35, 8), (25, 15)], [(25, 25), (35, 33), (25, 40)]]
POWER = [[(0, 20), (10, 40), (2, 40)], [(12, 0), (18, 8), (12, 10)]]  # rises, and is not turned


def lines(course: Sequence[Sequence[tuple[float, float]]], degrees: float) -> list[Stroke]:
    """Strokes with points all along them, turned clockwise."""
    angle = np.radians(degrees)
    matrix = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    strokes = []
    for points in course:
        corners = np.array(points, dtype=np.float64)
        places = np.linspace(0, len(points) - 1, 40)
        strokes.append(np.stack([np.interp(places, np.arange(len(points)), corners[:, i]) for i in (0, 1)], axis=1))
    return [(stroke @ matrix).astype(np.float32) for stroke in strokes]


def boxes(strokes: Sequence[Stroke]) -> np.ndarray:
    """Each stroke's box: top, left, bottom, right."""
    return np.array([[*stroke.min(axis=0)[::-1], *stroke.max(axis=0)[::-1]] for stroke in strokes]).round().astype(int)


@pytest.mark.parametrize("course", [SUM, EQUATION], ids=["symbols in a row", "bars"])
@pytest.mark.parametrize("degrees", [-15, -10, 7, 20])
def test_a_turned_formula_is_turned_back(course: list[list[tuple[float, float]]], degrees: float) -> None:
    """Paper that fills the picture has no edge that says how far it is turned."""
    turned = lines(course, degrees)
    assert skew_of(turned, boxes(turned)) == pytest.approx(degrees, abs=2)
    for stroke, upright in zip(turn_back(turned, boxes(turned)), lines(course, 0), strict=True):
        assert np.abs((stroke - stroke[0]) - (upright - upright[0])).max() < 6
        assert stroke.dtype == np.float32


@pytest.mark.parametrize("degrees", [-3, 0, 3])
def test_a_formula_that_is_hardly_turned_stays(degrees: float) -> None:
    """People write so, and training inks are turned as well."""
    turned = lines(SUM, degrees)
    assert all(a is b for a, b in zip(turn_back(turned, boxes(turned)), turned, strict=True))


@pytest.mark.parametrize("course", [POWER, POWER[:1], [[(0, 0)]]], ids=["power", "one symbol", "dot"])
def test_a_formula_that_shows_no_direction_stays(course: list[list[tuple[float, float]]]) -> None:
    """A superscript stands higher than its base on upright paper, too."""
    strokes = lines(course, 0) if len(course[0]) > 1 else [np.zeros((1, 2), np.float32)]
    assert skew_of(strokes, boxes(strokes)) is None


def test_bars_that_disagree_show_nothing() -> None:
    """Strokes of letters may be straight as well."""
    strokes = lines([FRACTION[0]], 20) + lines([FRACTION[0]], -20)
    assert skew_of(strokes, boxes(strokes)) is None


def test_a_picture_that_is_turned_is_traced_upright() -> None:
    """What the model sees has to be upright."""
    grey = (255 * (1 - ink())).round().astype(np.uint8)
    padded = np.pad(grey, 200, constant_values=255)
    rows, columns = np.mgrid[0 : padded.shape[0], 0 : padded.shape[1]] - np.array(padded.shape)[:, None, None] // 2
    angle = np.radians(15)
    source_rows = (rows * np.cos(angle) - columns * np.sin(angle)).round().astype(int) + padded.shape[0] // 2
    source_columns = (columns * np.cos(angle) + rows * np.sin(angle)).round().astype(int) + padded.shape[1] // 2
    inside = (source_rows >= 0) & (source_rows < padded.shape[0])
    inside &= (source_columns >= 0) & (source_columns < padded.shape[1])
    turned = np.full_like(padded, 255)
    turned[inside] = padded[source_rows[inside], source_columns[inside]]
    upright, back = (np.concatenate(trace_picture(picture).strokes) for picture in (grey, turned))
    assert np.ptp(back, axis=0) == pytest.approx(np.ptp(upright, axis=0), rel=0.1)


def test_ink_of_very_many_pieces_stays() -> None:
    """Noise of 100,000 pieces would have 5 billion pairs, which no memory holds."""
    places = np.arange(100_000)
    pieces = np.stack([places % 7, places * 10, places % 7 + 8, places * 10 + 8], axis=1)
    assert skew_of([np.zeros((1, 2), np.float32)], pieces) is None


@pytest.mark.parametrize(("pen_px", "is_turned_back"), [(4.0, True), (16.0, False)])
def test_thick_strokes_are_not_turned_back(pen_px: float, is_turned_back: bool) -> None:  # noqa: FBT001  # a table
    """Of 58 short formulas drawn with a thick pen, 15 were turned by up to 28°, and six more were read wrong."""
    turned = lines(EQUATION, 12)
    grey = draw_ink(turned, Canvas(height_px=140, width_px=280, margin_px=10, pen_width_px=pen_px))
    strokes = trace_picture(grey).strokes
    degrees = [np.degrees(np.arctan2(*(line[-1] - line[0])[::-1])) for line in strokes if len(line) > 5]
    flattest = min(abs((angle + 90) % 180 - 90) for angle in degrees)
    assert (flattest < 5) == is_turned_back
