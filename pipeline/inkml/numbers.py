"""Parse the texts of InkML traces into strokes. The numbers of many inks are converted in one call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.pipeline.inkml.contexts import Meaning
from latexify.pipeline.inkml.floats import parse_floats
from latexify.pipeline.inkml.strokes import plain_texts
from latexify.pipeline.inkml.values import MAX_VALUES_PER_POINT
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason, StrokeColumns

_CHARS_PER_BATCH = 1 << 20
"""Text converted in one call: enough to amortize the call, little enough for the CPU cache."""

_SPACE, _NUMERAL, _POINT_END, _TRACE_END, _ODD = range(5)
_TRACE_MARK = ";"
_NUMERALS = b"0123456789+-.eE"
_SPACES = b" \t\r\n"
_NO_NUMERALS = _SPACES + b"," + _TRACE_MARK.encode()


_KINDS = bytes(
    _NUMERAL if code in _NUMERALS else _SPACE if code in _SPACES else {44: _POINT_END, 59: _TRACE_END}.get(code, _ODD)
    for code in range(256)
)
"""The kind of each character: 44 is the comma, 59 `_TRACE_MARK`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceTexts:
    """The traces of one ink as text: points separated by commas, values within a point by white space.

    channels: names of the declared channels, upper case. x and y are the values named X and Y, or else, if none are
    declared, the first two. Points may lack the last channels, or have more values than are declared.
    """

    texts: Sequence[str]
    channels: Sequence[str]


def parse_traces(inks: Sequence[TraceTexts], *, max_points: int) -> tuple[StrokeColumns, dict[int, UnusableInkError]]:
    """Parse the traces of many inks. The result for an ink does not depend on the others.

    Args:
        inks: The traces of each ink.
        max_points: Inks with more points are refused.

    Returns:
        The strokes of the traces that hold a point, in order, as float32 rounded once from the text; and the errors
        (TOO_LARGE, BAD_POINTS) of refused inks by their index. Refused inks have no strokes.
    """
    pieces: list[StrokeColumns] = []
    refused: dict[int, UnusableInkError] = {}
    for first, batch in _batches(inks):
        for row, piece in _convert(batch, first=first, max_points=max_points):
            if isinstance(piece, UnusableInkError):
                refused[row] = piece
                pieces.append(StrokeColumns.without_strokes(1))
            else:
                pieces.append(piece)
    return StrokeColumns.concatenate(pieces), refused


def _batches(inks: Sequence[TraceTexts]) -> Iterator[tuple[int, Sequence[TraceTexts]]]:
    first, num_chars = 0, 0
    for row, ink in enumerate(inks):
        num_chars += sum(map(len, ink.texts))
        if num_chars >= _CHARS_PER_BATCH:
            yield first, inks[first : row + 1]
            first, num_chars = row + 1, 0
    if first < len(inks):
        yield first, inks[first:]


def _convert(
    inks: Sequence[TraceTexts], *, first: int, max_points: int
) -> Iterator[tuple[int, StrokeColumns | UnusableInkError]]:
    """Convert inks together. If one is refused, convert the halves, down to the ink that causes it."""
    if len(inks) == 1:
        try:
            yield first, _convert_one(inks[0], max_points=max_points)
        except UnusableInkError as error:
            yield first, error.untraced()
        return
    try:
        yield first, _columns(inks, max_points=max_points)
    except (UnusableInkError, UnicodeEncodeError):
        middle = len(inks) // 2
        yield from _convert(inks[:middle], first=first, max_points=max_points)
        yield from _convert(inks[middle:], first=first + middle, max_points=max_points)


def _convert_one(ink: TraceTexts, *, max_points: int) -> StrokeColumns:
    """Convert one ink; if its values are coded, decode them first. Raises UnusableInkError."""
    if sum(text.count(",") for text in ink.texts) > max_points + len(ink.texts):
        raise UnusableInkError(Reason.TOO_LARGE, f"more than {max_points} points")
    try:
        return _columns([ink], max_points=max_points)
    except (UnusableInkError, UnicodeEncodeError):
        x_at, y_at = _declared_positions(ink)
        meaning = Meaning(num_channels=len(ink.channels) or 2, x_at=x_at, y_at=y_at)
        plain = TraceTexts(texts=plain_texts(ink.texts, meaning, max_points=max_points), channels=[])
        return _columns([plain], max_points=max_points)


def _columns(inks: Sequence[TraceTexts], *, max_points: int) -> StrokeColumns:
    """Convert inks together. Raises UnusableInkError or UnicodeEncodeError if any of them must be refused."""
    num_traces = np.array([len(ink.texts) for ink in inks])
    if not num_traces.sum():
        return StrokeColumns.without_strokes(len(inks))
    text = (_TRACE_MARK.join(chain.from_iterable(ink.texts for ink in inks)) + _TRACE_MARK).encode("ascii")
    kinds = np.frombuffer(text.translate(_KINDS), np.uint8)
    begun, ended = _number_bounds(kinds)
    ends = np.flatnonzero(kinds >= _POINT_END)
    ends_trace = kinds[ends] == _TRACE_END
    if kinds.max() == _ODD or np.count_nonzero(ends_trace) != num_traces.sum():
        raise UnusableInkError(Reason.BAD_POINTS, "not numbers")
    values = parse_floats(text.translate(None, _NO_NUMERALS), lengths=ended - begun)
    counts = _values_per_point(begun, ends)

    ink_of_trace = np.repeat(np.arange(len(inks)), num_traces)
    trace: npt.NDArray[np.int64] = np.cumsum(ends_trace) - ends_trace
    commas = np.bincount(ink_of_trace[trace], minlength=len(inks)) - num_traces
    if np.any(commas > max_points + num_traces):
        raise UnusableInkError(Reason.TOO_LARGE, f"more than {max_points} points")
    starts = np.cumsum(counts) - counts
    if not counts.all():  # a comma too many
        held = counts > 0
        counts, starts, trace = counts[held], starts[held], trace[held]
    ink = ink_of_trace[trace]
    _check_counts(counts, np.bincount(ink, minlength=len(inks)), max_points=max_points)

    x_at, y_at = _coordinate_positions(inks, counts, ink)
    if _may_lack_commas(inks, counts, ink, commas):
        raise UnusableInkError(Reason.BAD_POINTS, "commas are missing")
    points = np.stack((values[starts + x_at], values[starts + y_at]), axis=1)
    lengths = np.bincount(trace, minlength=len(ink_of_trace))
    drawn = lengths > 0
    return StrokeColumns(
        points=points,
        stroke_lengths=lengths[drawn].astype(np.int32),
        num_strokes=np.bincount(ink_of_trace[drawn], minlength=len(inks)).astype(np.int32),
    )


def _may_lack_commas(
    inks: Sequence[TraceTexts],
    counts: npt.NDArray[np.int64],
    ink: npt.NDArray[np.int64],
    num_commas: npt.NDArray[np.int64],
) -> bool:
    """Whether an ink may separate points by spaces only; such inks are read in another way (`strokes.py`)."""
    if counts.max(initial=0) < 4:  # two points of two values
        return False
    widths = np.array([len(each.channels) or 2 for each in inks])
    return bool(np.any((counts >= 2 * widths[ink]) & (num_commas[ink] == 0)))


def _number_bounds(kinds: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the start and end (exclusive) of each number."""
    in_number = np.zeros(len(kinds) + 1, np.bool_)
    np.equal(kinds, _NUMERAL, out=in_number[1:])
    edges = np.flatnonzero(in_number[1:] != in_number[:-1])  # the last character ends a trace, so edges come in pairs
    return edges[::2], edges[1::2]


def _values_per_point(begun: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the number of values of each point (0 between two commas), from number starts and point ends."""
    each, left_over = divmod(len(begun), len(ends))
    if each and not left_over:  # checking for equal counts takes a quarter of the time of counting
        is_last_before, is_first_behind = begun[each - 1 :: each] < ends, begun[each::each] > ends[:-1]
        if is_last_before.all() and is_first_behind.all():
            return np.full(len(ends), each)
    return np.diff(np.searchsorted(begun, ends), prepend=0)


def _check_counts(counts: npt.NDArray[np.int64], num_points: npt.NDArray[np.int64], *, max_points: int) -> None:
    if num_points.max() > max_points:
        raise UnusableInkError(Reason.TOO_LARGE, f"{num_points.max()} points, at most {max_points} are allowed")
    if counts.size == 0:
        return
    if counts.min() < 2:
        raise UnusableInkError(Reason.BAD_POINTS, "a point has a single value, x and y are needed")
    if counts.max() > MAX_VALUES_PER_POINT:
        raise UnusableInkError(Reason.BAD_POINTS, f"a point has {counts.max()} values: commas are missing")


def _declared_positions(ink: TraceTexts) -> tuple[int, int]:
    """Return the indices of x and y among a point's values. Raises UnusableInkError if X or Y is not declared."""
    if not ink.channels:
        return 0, 1
    if ink.channels.count("X") != 1 or ink.channels.count("Y") != 1:
        names = " ".join(ink.channels)
        raise UnusableInkError(Reason.CONTRADICTORY_INKML, f"the channels are {names}, one X and one Y are needed")
    return ink.channels.index("X"), ink.channels.index("Y")


def _coordinate_positions(
    inks: Sequence[TraceTexts], counts: npt.NDArray[np.int64], ink: npt.NDArray[np.int64]
) -> tuple[Any, Any]:
    """Return the indices of x and y among a point's values: per point, or 0 and 1 if that holds for all points."""
    positions = [_declared_positions(each) for each in inks]
    if all(each == (0, 1) for each in positions):
        return 0, 1
    of_point = np.array(positions)[ink]
    if np.any(counts <= of_point.max(axis=1)):
        raise UnusableInkError(Reason.BAD_POINTS, "a point has too few values")
    return of_point[:, 0], of_point[:, 1]
