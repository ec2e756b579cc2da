"""Numerals become the nearest float32, the same by Python and by Arrow."""

import sys
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from latexify.pipeline.inkml import floats
from latexify.pipeline.inkml.floats import parse_floats
from latexify.pipeline.inkml.xml import UnusableInkError

DIGITS = st.text("0123456789", max_size=12)
NUMERALS = st.one_of(
    st.text("0123456789+-.eE", min_size=1, max_size=9),
    st.builds("{}{}.{}e{}".format, st.sampled_from(["", "-"]), DIGITS, DIGITS, st.integers(-50, 40)),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(lambda value: f"{value!r}"),
    st.integers(1, 2**31).map(lambda bits: f"{1 + (2 * bits + 1) * 2.0**-24!r}000000000001"),  # beside a middle
)


def converted(way: str, texts: list[str]) -> npt.NDArray[np.float32] | None:
    """The values by one of the two ways; None if they are refused."""
    numerals, lengths = "".join(texts).encode(), np.array([len(text) for text in texts], np.int64)
    try:
        values: npt.NDArray[np.float32] = getattr(floats, way)(numerals, lengths)
    except UnusableInkError:
        return None
    return values


@given(st.lists(NUMERALS, min_size=1, max_size=4))
@example(["1.00000005960464477539062500001", "1.000000059604644775390625", "1.00000017881393432617187499999"])
@example(["3.4028235677973366e38", "3.40282356779733661637539395458142568447e38", "7.006492321624085e-46"])
@example(["1e39", "-.5", "5.", "+1", "1e", ".", "-", "1-2", "00012"])
def test_both_ways_give_the_same(texts: list[str]) -> None:
    """What an ink becomes must not depend on which packages are installed, or on how many inks are read at once."""
    for each in ([text] for text in texts):
        plain, by_arrow = converted("_by_python", each), converted("_by_arrow", each)
        assert (plain is None) == (by_arrow is None)
        if plain is not None and by_arrow is not None:
            assert plain.tobytes() == by_arrow.tobytes(), each


def test_a_value_is_rounded_once() -> None:
    """By way of a double, this one would be rounded to the even neighbour below."""
    text = "1.00000005960464477539062500001"
    (value,) = parse_floats(text.encode(), lengths=np.array([len(text)]))
    assert value == np.nextafter(np.float32(1), np.float32(2))
    assert abs(Fraction(float(value)) - Fraction(text)) < abs(1 - Fraction(text))


def test_no_numerals_need_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The light installation has none; few numerals do not load it where it is installed."""
    monkeypatch.delitem(sys.modules, "pyarrow")
    monkeypatch.setattr(floats, "_by_arrow", None)
    assert parse_floats(b"12-3.5", lengths=np.array([2, 4])).tolist() == [12.0, -3.5]
    with pytest.raises(UnusableInkError, match="too large"):
        parse_floats(b"1e39", lengths=np.array([4]))
    with pytest.raises(UnusableInkError, match="'1-2' is not a number"):
        parse_floats(b"1-2", lengths=np.array([3]))
    monkeypatch.setattr(floats, "find_spec", lambda _: None)
    monkeypatch.setattr(floats, "MAX_PLAIN", 1)
    assert parse_floats(b"12-3.5", lengths=np.array([2, 4])).tolist() == [12.0, -3.5]
