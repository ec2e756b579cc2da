"""Paths that cairo takes at once: they must be those that pycairo would have made, call by call."""

from itertools import pairwise
from typing import Any

import cairo
import numpy as np
import pytest

from latexify.fast import cairo_path
from latexify.fast.cairo_path import PathAppender, gather_strokes, steps_of


def _context() -> "cairo.Context[Any]":
    return cairo.Context(cairo.ImageSurface(cairo.FORMAT_A8, 8, 8))


def _by_calls(x: list[float], y: list[float], stroke_lengths: list[int]) -> list[Any]:
    context = _context()
    start = 0
    for length in stroke_lengths:
        context.move_to(x[start], y[start])
        for place in range(start, start + length):
            context.line_to(x[place], y[place])
        start += length
    return list(context.copy_path())


def test_the_path_is_that_of_one_call_for_each_point() -> None:
    """Another path would be another picture, and shards that differ from those of before."""
    rng = np.random.default_rng(1)
    stroke_lengths, num_strokes = np.array([3, 1, 7, 2, 1, 1]), np.array([2, 1, 3])
    x, y = rng.uniform(0, 8, (2, stroke_lengths.sum()))
    lines = gather_strokes(stroke_lengths, num_strokes)
    steps = steps_of(x, y, lines.starts, lines.lengths)
    assert lines.paths == [[6], [8], [7]]
    ends = [0, 6, 14, 21]
    assert len(steps) == ends[-1]
    inks = [(0, [3, 1]), (4, [7]), (11, [2, 1, 1])]
    for (first, end), (point, lengths) in zip(pairwise(ends), inks, strict=True):
        context = _context()
        PathAppender(context).append(steps[first:end])
        assert list(context.copy_path()) == _by_calls(x[point:].tolist(), y[point:].tolist(), lengths)


def test_an_appender_goes_on_with_the_path_that_is_there() -> None:
    """All strokes of an ink are painted at once, however they were handed over."""
    context = _context()
    appender = PathAppender(context)
    for x in (1.0, 2.0):
        appender.append(steps_of(np.array([x, 5.0]), np.array([3.0, 4.0]), np.array([0]), np.array([2])))
    moves = [points for kind, points in context.copy_path() if kind == cairo.PathDataType.MOVE_TO]
    assert moves == [(1.0, 3.0), (2.0, 3.0)]


def test_what_cairo_refuses_is_an_error_of_the_next_call() -> None:
    """An error must not be lost between the two ways into cairo."""
    context = _context()
    steps = steps_of(np.zeros(1), np.zeros(1), np.array([0]), np.array([1]))
    steps.view(np.intc)[0, 0] = 7  # no kind of step
    PathAppender(context).append(steps)
    with pytest.raises(cairo.Error, match="path"):
        context.stroke()


def test_strokes_of_a_scribble_are_cut_into_short_paths_that_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap would be white in the picture."""
    monkeypatch.setattr(cairo_path, "MAX_PATH_POINTS", 4)
    stroke_lengths, num_strokes = np.array([2, 10, 3, 1]), np.array([1, 2, 1])
    lines = gather_strokes(stroke_lengths, num_strokes)
    found = list(zip(lines.starts.tolist(), lines.lengths.tolist(), strict=True))
    assert found == [(0, 2), (2, 4), (5, 4), (8, 4), (12, 3), (15, 1)]
    assert lines.paths == [[3], [5, 5, 5, 4], [2]]
