"""Numerals to float32, each rounded once: by Arrow where there are many or it is loaded, else by Python.

Recognising an ink needs no pyarrow, which has 170 MB and takes a tenth of a second to import.
"""

import re
import sys
from fractions import Fraction
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason

MAX_PLAIN = 20_000
"""Numerals for which Arrow is not loaded: Python takes about 20 ms. An ink has some 1,000."""

_ONE = rb"[+-]?(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?"
_NUMERAL, _NUMERALS = re.compile(_ONE), re.compile(rb"(?:" + _ONE + rb"(?: |\Z))*+")


def parse_floats(numerals: bytes, *, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Convert numerals to float32.

    Args:
        numerals: The numerals, one after another without anything between them.
        lengths: Number of characters of each numeral, [num_numerals].

    Returns:
        The nearest float32 of each, [num_numerals].

    Raises:
        UnusableInkError: BAD_POINTS if one is no numeral, or beyond float32.
    """
    has_arrow = "pyarrow" in sys.modules or (len(lengths) > MAX_PLAIN and find_spec("pyarrow") is not None)
    values = _by_arrow(numerals, lengths) if has_arrow else _by_python(numerals, lengths)
    if not np.isfinite(values).all():
        raise UnusableInkError(Reason.BAD_POINTS, "a coordinate is too large for float32")
    return values


def _by_arrow(numerals: bytes, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    import pyarrow as pa  # noqa: PLC0415  # see above
    import pyarrow.compute as pc  # noqa: PLC0415

    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    strings = pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(numerals))
    try:
        values = np.from_dlpack(pc.cast(strings, pa.float32()))  # `to_numpy` would import pandas
    except pa.ArrowInvalid as error:
        raise UnusableInkError(Reason.BAD_POINTS, str(error)) from None
    return np.asarray(values, dtype=np.float32)


def _by_python(numerals: bytes, lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    ends = np.cumsum(lengths).tolist()
    texts = [numerals[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    if _NUMERALS.fullmatch(b" ".join(texts)) is None:
        odd = next(text for text in texts if _NUMERAL.fullmatch(text) is None)
        raise UnusableInkError(Reason.BAD_POINTS, f"'{odd.decode()}' is not a number")
    doubles = np.fromiter(map(float, texts), np.float64, len(texts))
    with np.errstate(over="ignore"):  # infinity, which the caller refuses
        values = doubles.astype(np.float32)
    for row in np.flatnonzero(_is_tie(doubles, values)).tolist():
        values[row] = _nearest(texts[row].decode(), values[row])
    return values


def _is_tie(doubles: npt.NDArray[np.float64], values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether a double lies in the middle of two float32, so that its own rounding may have decided between them."""
    with np.errstate(over="ignore"):
        other = np.nextafter(values, np.where(doubles > values, np.float32(np.inf), np.float32(-np.inf)))
    return np.asarray((doubles != values) & (doubles == (_as_double(values) + _as_double(other)) / 2))


def _as_double(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return doubles, with the first power of two beyond float32 in place of infinity, as IEEE 754 rounds."""
    doubles = values.astype(np.float64)
    return np.where(np.isinf(doubles), np.copysign(np.float64(2.0**128), doubles), doubles)


def _nearest(text: str, value: np.float32) -> np.float32:
    """Return the float32 that is nearest to a numeral, `value` or one beside it."""
    with np.errstate(over="ignore"):
        beside = [value, *(np.nextafter(value, np.float32(side)) for side in (-np.inf, np.inf))]
    distances = [abs(Fraction(float(_as_double(np.array(each)))) - Fraction(text)) for each in beside]
    return np.float32(beside[distances.index(min(distances))])
