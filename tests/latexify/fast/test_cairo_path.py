"""Paths that are appended at once equal those of pycairo's calls, with and without the fast path."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cairo
import numpy as np
import pytest

from latexify.fast import cairo_path
from latexify.fast.cairo_path import FastAppender, PlainAppender, path_appender, path_data_of
from latexify.fast.switch import VARIABLE
from latexify.pipeline.drawing.draw import Canvas, draw_coverage, gather_strokes


def _context() -> "cairo.Context[Any]":
    return cairo.Context(cairo.ImageSurface(cairo.FORMAT_A8, 8, 8))


def _by_calls(x: list[float], y: list[float], stroke_lengths: list[int]) -> list[Any]:
    context = _context()
    start = 0
    for length in stroke_lengths:
        context.move_to(x[start], y[start])
        for index in range(start, start + length):
            context.line_to(x[index], y[index])
        start += length
    return list(context.copy_path())


@pytest.fixture(params=["fast", "plain"])
def appender_of(request: pytest.FixtureRequest) -> Callable[["cairo.Context[Any]"], FastAppender | PlainAppender]:
    """Both ways to append a path."""
    append_path = cairo_path._find_append_path()
    if request.param == "plain" or append_path is None:
        return PlainAppender
    return lambda context: FastAppender(context, append_path)


def test_the_path_is_that_of_one_call_for_each_point(
    appender_of: Callable[["cairo.Context[Any]"], FastAppender | PlainAppender],
) -> None:
    """Another path would be another picture, and shards that differ from those of before."""
    rng = np.random.default_rng(1)
    stroke_lengths, num_strokes = np.array([3, 1, 7, 2, 1, 1]), np.array([2, 1, 3])
    x, y = rng.uniform(0, 8, (2, stroke_lengths.sum()))
    lines = gather_strokes(stroke_lengths, num_strokes)
    elements = path_data_of(x, y, lines.starts, lines.lengths)
    assert lines.paths == [[6], [8], [7]]
    ends = [0, 6, 14, 21]
    assert len(elements) == ends[-1]
    inks = [(0, [3, 1]), (4, [7]), (11, [2, 1, 1])]
    for (first, end), (point, lengths) in zip(pairwise(ends), inks, strict=True):
        context = _context()
        appender_of(context).append(elements[first:end])
        assert list(context.copy_path()) == _by_calls(x[point:].tolist(), y[point:].tolist(), lengths)


def test_an_appender_continues_the_path_that_is_there(
    appender_of: Callable[["cairo.Context[Any]"], FastAppender | PlainAppender],
) -> None:
    """All strokes of an ink are painted at once, however they were handed over."""
    context = _context()
    appender = appender_of(context)
    for x in (1.0, 2.0):
        appender.append(path_data_of(np.array([x, 5.0]), np.array([3.0, 4.0]), np.array([0]), np.array([2])))
    moves = [points for kind, points in context.copy_path() if kind == cairo.PathDataType.MOVE_TO]
    assert moves == [(1.0, 3.0), (2.0, 3.0)]


def test_what_cairo_refuses_is_an_error_of_the_next_call() -> None:
    """An error must not be lost between the two ways into cairo."""
    context = _context()
    append_path = cairo_path._find_append_path()
    if append_path is None:
        pytest.skip("this pycairo has no fast path")
    elements = path_data_of(np.zeros(1), np.zeros(1), np.array([0]), np.array([1]))
    elements.view(np.intc)[0, 0] = 7  # no kind of step
    FastAppender(context, append_path).append(elements)
    with pytest.raises(cairo.Error, match="path"):
        context.stroke()


def test_the_switch_and_other_builds_of_pycairo_choose_the_plain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pycairo that is linked statically does not export cairo's functions; it must still draw."""
    monkeypatch.setenv(VARIABLE, "1")
    assert isinstance(path_appender(_context()), PlainAppender)
    monkeypatch.delenv(VARIABLE)

    def without_symbols(_: str) -> object:
        return object()

    monkeypatch.setattr("latexify.fast.cairo_path.ctypes.PyDLL", without_symbols)
    assert isinstance(path_appender(_context()), PlainAppender)


def test_pictures_are_equal_with_and_without_the_fast_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise shards would depend on how pycairo was built."""
    rng = np.random.default_rng(2)
    num_strokes = rng.integers(1, 6, 40)
    stroke_lengths = rng.integers(1, 60, num_strokes.sum())
    points = rng.uniform(0, 50, (stroke_lengths.sum(), 2)).cumsum(axis=0) % 97
    canvas = Canvas(height_px=48, width_px=192, margin_px=2.0, pen_width_px=1.5)
    fast = [pixels.tobytes() for pixels in draw_coverage(points, stroke_lengths, num_strokes, canvas)]
    monkeypatch.setenv(VARIABLE, "1")
    assert [pixels.tobytes() for pixels in draw_coverage(points, stroke_lengths, num_strokes, canvas)] == fast
