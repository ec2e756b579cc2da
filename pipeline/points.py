"""Texts of InkML traces in, strokes out: all numbers of an ink are converted in one call."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ink import Reason, Stroke
from pipeline.markup import UnusableInkError

MAX_VALUES_PER_POINT = 16
"""More than the channels of any pen: a point this long is a trace that lacks its commas."""

_NUMERALS = b"0123456789+-.eE, \t\r\n"


def parse_traces(texts: Sequence[str], *, channels: Sequence[str], max_points: int) -> list[Stroke]:
    """Strokes of the traces that hold a point, in the order given.

    texts: content of each trace: points separated by commas, values within a point by white space.
    channels: names of the declared channels, upper case. They say where X and Y are wherever every point has as many
        values as there are names; otherwise the first two values of a point are its x and y, declared or not.

    Returns float32 [num_points, 2] for each trace that is not empty.

    Raises UnusableInkError (TOO_LARGE, BAD_POINTS).
    """
    num_commas = sum(text.count(",") for text in texts)
    if num_commas > max_points + len(texts):
        raise UnusableInkError(Reason.TOO_LARGE, f"more than {max_points} points")
    # NaN marks the end of a point and infinity the end of a trace; neither can be a coordinate.
    values = _numbers(texts)
    ends = np.flatnonzero(~np.isfinite(values))
    starts = np.concatenate(([0], ends[:-1] + 1))
    counts = ends - starts
    stroke_of_point = np.cumsum(np.isinf(values[ends])) - np.isinf(values[ends])
    held = counts > 0
    counts, starts, stroke_of_point = counts[held], starts[held], stroke_of_point[held]
    if counts.size > max_points:
        raise UnusableInkError(Reason.TOO_LARGE, f"{counts.size} points, at most {max_points} are allowed")
    _check_counts(counts)
    x_at, y_at = _coordinate_positions(channels, counts)
    points = np.stack((values[starts + x_at], values[starts + y_at]), axis=1)
    bounds = np.flatnonzero(np.diff(stroke_of_point)) + 1
    return list(np.split(points, bounds)) if len(points) else []


def _numbers(texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """All values as float32, each point ended by NaN or, at the end of its trace, by infinity."""
    try:
        odd = "".join(texts).encode("ascii").translate(None, _NUMERALS)
    except UnicodeEncodeError as error:
        raise UnusableInkError(Reason.BAD_POINTS, f"not a number: {error.object[error.start : error.end]!r}") from None
    if odd:
        raise UnusableInkError(Reason.BAD_POINTS, f"not numbers, they hold {odd[:20].decode('ascii')!r}")
    tokens = "".join(f"{text} inf " for text in texts).replace(",", " nan ").split()
    try:
        values = pc.cast(pa.array(tokens, pa.string()), pa.float32()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid as error:
        raise UnusableInkError(Reason.BAD_POINTS, str(error)) from None
    num_separators = sum(text.count(",") for text in texts) + len(texts)
    if np.count_nonzero(~np.isfinite(values)) != num_separators:
        raise UnusableInkError(Reason.BAD_POINTS, "a coordinate is too large for float32")
    return np.asarray(values, dtype=np.float32)


def _check_counts(counts: npt.NDArray[np.int64]) -> None:
    if counts.size == 0:
        return
    if counts.min() < 2:
        raise UnusableInkError(Reason.BAD_POINTS, "a point has a single value, x and y are needed")
    if counts.max() > MAX_VALUES_PER_POINT:
        raise UnusableInkError(Reason.BAD_POINTS, f"a point has {counts.max()} values: commas are missing")


def _coordinate_positions(channels: Sequence[str], counts: npt.NDArray[np.int64]) -> tuple[int, int]:
    trusted = "X" in channels and "Y" in channels and bool(np.all(counts == len(channels)))
    return (channels.index("X"), channels.index("Y")) if trusted else (0, 1)
