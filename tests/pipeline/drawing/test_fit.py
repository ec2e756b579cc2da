"""Placing: every ink on its own, and no point dropped that would be seen."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Pixels, draw_coverage, draw_points
from latexify.pipeline.drawing.fit import TOLERANCE_PX, Canvas, Scales, fit_inks, simplify

CANVAS = Canvas(height_px=48, width_px=192, margin_px=2.0, pen_width_px=1.5)

coordinates = st.floats(0, 60, width=32) | st.integers(0, 60).map(float)
strokes = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=40)
inks = st.lists(strokes, min_size=1, max_size=4)


def flat(many: list[list[list[tuple[float, float]]]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inks as they stand one after another: points, stroke lengths, numbers of strokes."""
    points = np.array([point for ink in many for stroke in ink for point in stroke], dtype=np.float32)
    lengths = np.array([len(stroke) for ink in many for stroke in ink])
    return points, lengths, np.array([len(ink) for ink in many])


def draw_inks(
    points: np.ndarray, lengths: np.ndarray, counts: np.ndarray, canvas: Canvas, *, scales: Scales | None = None
) -> Iterator[Pixels]:
    """Pictures of many inks, 0 = ink."""
    return (~coverage for coverage in draw_coverage(points, lengths, counts, canvas, scales=scales))


def distance_to_line(point: np.ndarray, line: np.ndarray) -> float:
    """Distance of a point from a line through [n, 2] points, sought on every piece of it."""
    starts, steps = line[:-1], np.diff(line, axis=0)
    squared = np.maximum((steps**2).sum(axis=1), 1e-300)
    along = np.clip(((point - starts) * steps).sum(axis=1) / squared, 0, 1)
    return float(np.sqrt((((starts + along[:, None] * steps) - point) ** 2).sum(axis=1)).min())


@settings(max_examples=100, deadline=None)
@given(stroke=st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=60), fine=st.sampled_from([1, 1e-2]))
def test_no_point_is_farther_from_the_line_than_said(stroke: list[tuple[float, float]], fine: float) -> None:
    """A loop or a hook would be cut off: `e` would read as `c`."""
    x, y = np.array(stroke).T * fine
    thin_x, thin_y, lengths = simplify(x, y, np.array([len(x)]))
    line = np.stack([thin_x, thin_y], axis=1)
    assert lengths.tolist() == [len(line)]
    assert line[0].tolist() == [x[0], y[0]]
    assert line[-1].tolist() == [x[-1], y[-1]]
    assert max(distance_to_line(point, line) for point in np.stack([x, y], axis=1)) <= TOLERANCE_PX + 1e-9


def test_dense_points_are_dropped() -> None:
    """Pens send several points a pixel: drawing would take several times as long."""
    turn = np.linspace(0, 2 * np.pi, 2000)
    _, _, lengths = simplify(100 * np.cos(turn), 100 * np.sin(turn), np.array([2000]))
    assert lengths[0] < 150


@settings(max_examples=60, deadline=None)
@given(many=st.lists(inks, min_size=1, max_size=5))
def test_an_ink_looks_the_same_alone_and_in_any_company(many: list[list[list[tuple[float, float]]]]) -> None:
    """Bytes of a shard would depend on which inks happen to stand beside each other."""
    together = list(draw_inks(*flat(many), CANVAS))
    assert len(together) == len(many)
    for pixels, ink in zip(together, many, strict=True):
        points, lengths, _ = flat([ink])
        assert np.array_equal(pixels, draw_points(points, lengths, CANVAS))


def test_pens_of_their_own() -> None:
    """Variants of an ink are drawn with other pens: each must be that of its ink, and stay inside the margins."""
    stroke = [[(0.0, 0.0), (10.0, 1.0)]]
    pens = np.array([1.0, 4.0])
    scales = Scales(pens=pens / CANVAS.pen_width_px, strokes=np.ones(2))
    for pixels, pen in zip(draw_inks(*flat([stroke, stroke]), CANVAS, scales=scales), pens, strict=True):
        points, lengths, _ = flat([stroke])
        alone = Canvas(height_px=48, width_px=192, margin_px=2.0, pen_width_px=float(pen))
        assert np.array_equal(pixels, draw_points(points, lengths, alone))
    with pytest.raises(LatexifyError, match="no room"):
        fit_inks(*flat([stroke]), CANVAS, scales=Scales(pens=np.array([40.0]), strokes=np.ones(1)))


def longest_side_px(pixels: np.ndarray) -> int:
    """Of the box around the ink."""
    rows, columns = np.nonzero(pixels < 128)
    return int(max(np.ptp(rows), np.ptp(columns))) + 1


@pytest.mark.parametrize("unit", [0.01, 1.0, 300.0])
def test_strokes_grow_no_larger_than_said(unit: float) -> None:
    """A lone letter would fill the canvas, ten times as large as the same letter in a long formula."""
    canvas = replace(CANVAS, max_stroke_px=16.0)
    letter = [[(0.0, 0.0), (3.0, 9.0)], [(3.0, 0.0), (0.0, 9.0)], [(5.0, 5.0)]]
    points, lengths, counts = flat([letter])
    (limited,) = draw_inks(points * unit, lengths, counts, canvas)
    # the dot does not count; the longer side of both lines is 9 units; the pen adds its width
    assert longest_side_px(limited) == pytest.approx(16 + canvas.pen_width_px, abs=1)
    (larger,) = draw_inks(
        points * unit, lengths, counts, canvas, scales=Scales(pens=np.ones(1), strokes=np.full(1, 1.25))
    )
    assert longest_side_px(larger) == pytest.approx(20 + canvas.pen_width_px, abs=1)


@settings(max_examples=60, deadline=None)
@given(many=st.lists(inks, min_size=1, max_size=5), limit_px=st.floats(2, 100))
def test_a_limit_of_strokes_never_enlarges(many: list[list[list[tuple[float, float]]]], limit_px: float) -> None:
    """Long formulas would leave the canvas, and the company of an ink would change it."""
    canvas = replace(CANVAS, max_stroke_px=limit_px)
    for limited, ink in zip(draw_inks(*flat(many), canvas), many, strict=True):
        points, lengths, counts = flat([ink])
        assert np.array_equal(limited, draw_points(points, lengths, canvas))
        usual = fit_inks(points, lengths, counts, canvas)
        filled = fit_inks(points, lengths, counts, CANVAS)
        assert np.ptp(usual.x_px) <= np.ptp(filled.x_px) + 0.2


def test_one_ink_that_cannot_be_drawn_stops_at_its_turn() -> None:
    """The error names the ink whose turn it is: another would be blamed, or lost."""
    good, bad = [[(0.0, 0.0), (10.0, 1.0)]], [[(0.0, float("inf"))]]
    drawn = draw_inks(*flat([good, bad, good]), CANVAS)
    points, lengths, _ = flat([good])
    assert np.array_equal(next(drawn), draw_points(points, lengths, CANVAS))
    with pytest.raises(LatexifyError, match="not a finite number"):
        next(drawn)
