"""Coded values of traces."""

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.values import MAX_NUMBER_CHARS, decode_points
from latexify.pipeline.inkml.xml import UnusableInkError

NUMBERS = st.decimals(min_value=-9999, max_value=9999, places=3)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=30), st.data())
def test_any_mix_of_codes_gives_the_plain_numbers(points: list[tuple[Decimal, Decimal]], data: st.DataObject) -> None:
    """A code that leaks into another channel, or outlives its successor, would bend the rest of a stroke."""
    written = []
    state = ["!", "!"]
    for index, point in enumerate(points):
        values = []
        for axis, value in enumerate(point):
            order = data.draw(st.sampled_from("!'\"" if index > 1 else "!'" if index else "!"))
            previous = points[index - 1][axis] if index else Decimal(0)
            step = value - previous
            last_step = previous - points[index - 2][axis] if index > 1 else Decimal(0)
            number = {"!": value, "'": step, '"': step - last_step}[order]
            values.append(f"{order if order != state[axis] else ''}{number:f}")
            state[axis] = order
        written.append(" ".join(values))
    assert [tuple(point) for point in decode_points(",".join(written))] == points


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10 0-3", [10, 0, -3]),
        ("#1E -#F", [30, -15]),
        ("- 5 1e2", [-5, 100]),
        ("1 T F ?", [1, True, False, None]),
        (".5 7. +1", [Decimal("0.5"), 7, 1]),
    ],
)
def test_values_are_separated(text: str, expected: list[object]) -> None:
    """Programs leave out white space before signs."""
    assert decode_points(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        *("1.2.3 4", "1..2 3", "1+2 3", "1f 2", "1e5.5 2", "1e 2", "--1 2", "+-1 2", "0x1F 2"),
        *("''1 2", "1 #", "1e99999 2", "1" * (MAX_NUMBER_CHARS + 1) + "'2"),
    ],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    """Two numbers out of a damaged one would shift all channels behind it."""
    with pytest.raises(UnusableInkError, match="number"):
        decode_points(text)


@pytest.mark.parametrize("text", ["1 1 " * 1_000_000, "1" + "-1" * 1_000_000, "1 1," * 1_000_000])
def test_too_many_points_are_refused_early(text: str) -> None:
    """Decoding takes microseconds a value, and a file of the size that is allowed may hold millions."""
    started = time.process_time()
    with pytest.raises(UnusableInkError, match="more than 1000 points"):
        decode_points(text, max_points=1000)
    assert time.process_time() - started < 0.5


def test_traces_count_together() -> None:
    """An ink of many small traces costs as much as one of a large one."""
    ink = "<ink>" + "<trace>" + "</trace><trace>".join(["1 1 " * 4] * 1000) + "</trace></ink>"
    with pytest.raises(UnusableInkError, match="more than 3000 points"):
        parse_inkml(ink.encode(), max_file_bytes=10**6, max_points=3000)
    assert len(parse_inkml(ink.encode(), max_file_bytes=10**6, max_points=4000).strokes) == 1000
