"""Read the ink of documents with contexts, views or coded values, and write it as plain traces.

Most documents need none of this: `document.py` decides with one look.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from latexify.pipeline.inkml.contexts import Contexts, Meaning
from latexify.pipeline.inkml.values import MAX_VALUES_PER_POINT, Value, decode_points, too_many_points
from latexify.pipeline.inkml.views import Piece, join_continued, shown_pieces
from latexify.pipeline.inkml.xml import UnusableInkError, contradictory
from latexify.pipeline.inks.ink import Reason

PEN_UP: Final = ("penup", "hover")
"""Types of traces that leave no ink, in lower case."""

Point = tuple[Decimal | float, Decimal | float]
Points = list[Sequence[Value]]
"""The values of each point of a trace."""


def plain_traces(root: Any, *, max_points: int) -> list[str]:
    """Return the ink of an InkML document as one text of plain numbers per stroke, "x y" separated by commas.

    x grows to the right, y downward, and both have the same unit.

    Raises UnusableInkError: BAD_POINTS, TOO_LARGE, CONTRADICTORY_INKML, UNSUPPORTED_INKML.
    """
    contexts = Contexts(root)
    meanings = contexts.meanings()
    pieces = [piece for piece in shown_pieces(root, contexts) if not is_pen_up(piece.trace)]
    traces = list(dict.fromkeys(piece.trace for piece in pieces))
    decoded = _decode_all(traces, [meanings[trace] for trace in traces], max_points=max_points)
    points = dict(zip(traces, decoded, strict=True))
    texts: list[str] = []
    num_points = 0
    for stroke in join_continued(pieces, refer=contexts.refer):
        runs: list[list[Point]] = [[]]
        for piece in stroke:
            first, *others = _runs(_cut(piece, points[piece.trace]), meanings[piece.trace])
            runs[-1] += first
            runs += others
        num_points += sum(map(len, runs))
        if num_points > max_points:
            raise too_many_points(max_points)
        texts += [_write_points(run) for run in runs if run]
    return texts


def plain_texts(texts: Sequence[str], meaning: Meaning, *, max_points: int) -> list[str]:
    """Decode the texts of traces that all have one meaning, and write x and y as plain numbers.

    Raises UnusableInkError (BAD_POINTS, TOO_LARGE).
    """
    traces = _decode(texts, meaning, max_points=max_points)
    return [_write_points(run) for points in traces for run in _runs(points, meaning)]


def is_pen_up(trace: Any) -> bool:
    """Whether the pen did not touch the paper."""
    return str(trace.get("type", "")).strip().lower() in PEN_UP


def _write_points(points: Sequence[Point]) -> str:
    return ",".join(f"{x} {y}" for x, y in points)


def _decode_all(traces: Sequence[Any], meanings: Sequence[Meaning], *, max_points: int) -> list[Points]:
    texts = ["".join(trace.itertext()) for trace in traces]
    if len(set(meanings)) == 1:
        return _decode(texts, meanings[0], max_points=max_points)
    decoded = _decode_texts(texts, [meaning.num_channels for meaning in meanings], max_points=max_points)
    return [_check_lengths(points, meaning) for points, meaning in zip(decoded, meanings, strict=True)]


def _decode_texts(texts: Sequence[str], widths: Sequence[int], *, max_points: int) -> list[Points]:
    """Decode traces; stop as soon as they hold too many points: decoding takes microseconds a value."""
    decoded: list[Points] = []
    num_points = 0
    for text, width in zip(texts, widths, strict=True):
        points = decode_points(text, max_points=max_points, num_channels=width)
        decoded.append(points)
        # without commas, the values of all points are in one
        num_points += len(points) if len(points) > 1 else sum(map(len, points)) // width
        if num_points > max_points:
            raise too_many_points(max_points)
    return decoded


def _decode(texts: Sequence[str], meaning: Meaning, *, max_points: int) -> list[Points]:
    """Decode traces. Drafts of InkML of 2003 and 2004 separate points by spaces only.

    An ink is taken for such a draft if no trace has a comma, each has the values of whole points, and one has several.
    """
    width = meaning.num_channels
    traces = _decode_texts(texts, [width] * len(texts), max_points=max_points)
    lengths = [len(points[0]) for points in traces if points]
    has_commas = any("," in text for text in texts)
    if not has_commas and max(lengths, default=0) > width and not any(length % width for length in lengths):
        traces = [
            [values[start : start + width] for values in points for start in range(0, len(values), width)]
            for points in traces
        ]
    return [_check_lengths(points, meaning) for points in traces]


def _check_lengths(points: Points, meaning: Meaning) -> Points:
    needed = 1 + max(meaning.x_at, meaning.y_at)
    shortest = min(map(len, points), default=needed)
    if shortest < needed:
        raise UnusableInkError(
            Reason.BAD_POINTS, f"a point has {shortest} of {meaning.num_channels} values, x and y need {needed}"
        )
    if (longest := max(map(len, points), default=0)) > MAX_VALUES_PER_POINT:
        raise UnusableInkError(Reason.BAD_POINTS, f"a point has {longest} values: commas are missing")
    return points


def _cut(piece: Piece, points: Points) -> Points:
    last = len(points) if piece.last is None else piece.last
    if points and not piece.first < last <= len(points):
        raise contradictory(f"a trace view from {piece.first + 1} to {last} of {len(points)} points")
    return points[piece.first : last]


def _runs(points: Points, meaning: Meaning) -> list[list[Point]]:
    """Return the points in runs, at least one: a lifted tip ends a run. Points without x or y are left out."""
    runs: list[list[Point]] = [[]]
    is_down = True
    for values in points:
        if meaning.tip_at is not None and meaning.tip_at < len(values) and values[meaning.tip_at] is not None:
            is_down = bool(values[meaning.tip_at])
        x, y = values[meaning.x_at], values[meaning.y_at]
        if isinstance(x, bool) or isinstance(y, bool):
            raise UnusableInkError(Reason.BAD_POINTS, "a coordinate is T or F, not a number")
        if not is_down:
            if runs[-1]:
                runs.append([])
        elif x is not None and y is not None:
            runs[-1].append((x, y) if meaning.affine is None else meaning.affine.apply(values))
    return runs
