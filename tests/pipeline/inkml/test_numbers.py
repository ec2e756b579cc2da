"""Numbers of many inks in one call: each is the nearest float32, and none depends on other inks."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.pipeline.inkml import numbers
from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inks.ink import StrokeColumns

GOOD = TraceTexts(texts=["1 2, 3 4", "5 6"], channels=["X", "Y"])
TRACES = st.sampled_from(
    ["1 2", "1 2, 3 4", "9 1 2, 9 3 4", "", " , ", "1 2;3", "1 x", "é 1", "1-2 3", "1 1e39", "1", "1 " * 17, "1 2," * 9]
)
INKS = st.builds(
    TraceTexts,
    texts=st.lists(TRACES, max_size=3),
    channels=st.sampled_from([(), ("X", "Y"), ("T", "X", "Y"), ("Y", "X"), ("X", "Y", "F")]),
)


def strokes_by_ink(columns: StrokeColumns) -> list[list[list[list[float]]]]:
    """The strokes of each ink as plain lists."""
    strokes = iter(columns.strokes())
    return [[next(strokes).tolist() for _ in range(number)] for number in columns.num_strokes.tolist()]


@given(st.lists(INKS, max_size=8))
def test_an_ink_does_not_depend_on_others(inks: list[TraceTexts]) -> None:
    """A broken file must not change or reject the thousand that are converted with it."""
    columns, refused = parse_traces(inks, max_points=8)
    assert len(columns.num_strokes) == len(inks)
    assert columns.num_points.sum() == len(columns.points) == columns.stroke_lengths.sum()
    for row, (ink, strokes) in enumerate(zip(inks, strokes_by_ink(columns), strict=True)):
        alone, refused_alone = parse_traces([ink], max_points=8)
        assert [strokes] == strokes_by_ink(alone)
        problem, problem_alone = refused.get(row), refused_alone.get(0)
        assert (problem and (problem.reason, problem.detail)) == (
            problem_alone and (problem_alone.reason, problem_alone.detail)
        )


@pytest.mark.parametrize("num_chars", [1, 10, 40])
def test_where_batches_end_changes_nothing(monkeypatch: pytest.MonkeyPatch, num_chars: int) -> None:
    """The size of a batch is a matter of speed."""
    inks = [GOOD, TraceTexts(texts=["1 x"], channels=[]), TraceTexts(texts=[], channels=[]), GOOD]
    expected, _ = parse_traces(inks, max_points=8)
    monkeypatch.setattr(numbers, "_CHARS_PER_BATCH", num_chars)
    columns, refused = parse_traces(inks, max_points=8)
    assert strokes_by_ink(columns) == strokes_by_ink(expected)
    assert list(refused) == [1]


@given(
    traces=st.lists(st.lists(st.integers(2, 4), min_size=1, max_size=5), min_size=1, max_size=5),
    has_empty_points=st.booleans(),
)
def test_every_point_keeps_its_own_values(*, traces: list[list[int]], has_empty_points: bool) -> None:
    """Points in CROHME have two values in one file and three in the next; a wrong count would shift all others."""
    values = iter(range(10_000))
    expected = [[[next(values) for _ in range(count)] for count in trace] for trace in traces]
    between = " , , " if has_empty_points else ","
    texts = [between.join(" ".join(map(str, point)) for point in trace) for trace in expected]
    texts[0] += ","  # traces without any comma may be read in another way
    columns, refused = parse_traces([TraceTexts(texts=texts, channels=[]), GOOD], max_points=100)
    assert not refused
    assert strokes_by_ink(columns)[0] == [[point[:2] for point in trace] for trace in expected]


NEAR_MIDPOINT = Fraction(2**24 + 3, 2**24)  # half way between two float32 just above 1


@given(st.integers(0, 40), st.integers(-3, 3))
def test_each_number_is_rounded_once(num_digits: int, offset: int) -> None:
    """Rounding to double first would give the wrong float32 for numbers near the middle of two."""
    scaled = int(NEAR_MIDPOINT * 10**60) // 10**num_digits + offset
    text = f"{scaled}e{num_digits - 60}"
    columns, _ = parse_traces([TraceTexts(texts=[f"{text} 0"], channels=[])], max_points=8)
    found = columns.points[0, 0]
    exact = Fraction(scaled) * Fraction(10) ** (num_digits - 60)
    candidates = [found, np.nextafter(found, np.float32(9)), np.nextafter(found, np.float32(0))]
    errors = [abs(Fraction(float(value)) - exact) for value in candidates]
    assert errors[0] == min(errors)
