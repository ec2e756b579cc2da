"""From cut symbols to a bank of glyphs: each on the baseline and at the size that its line, or its class, tells."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.synthesis.composed.aligning import align
from latexify.pipeline.synthesis.composed.bank import Bank, Floats, Ints, LooseSymbol, Writer, thinned
from latexify.pipeline.synthesis.composed.cutting import CutSymbol
from latexify.pipeline.synthesis.composed.formula import BAR, RADICAL, Leaf, UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.composed.gathering import TrainingInk
from latexify.pipeline.synthesis.composed.measuring import Measures, Written, measure
from latexify.pipeline.synthesis.composed.proportions import printed_proportions

RUN_INKS = 40
"""Inks of unknown writers are taken for one writer's in runs of so many neighbours: sessions lie side by side."""
_FLAT = 0.3
"""Classes less high than this (minus, dots) tell nothing by their height."""
_LIKELY_HEIGHTS = (0.55, 1.8)
"""Of a symbol on its line, relative to its class; others were cut or aligned wrongly."""
_LIKELY_SHIFT = 0.6
"""How far its middle may be from the class's."""
_LIKELY_WIDTH = 2.4
"""Times the width of its class, at most."""
_COARSE = 40.0
"""Units of the file in a capital height. Where points lie on whole units, fewer than this show as stairs when a small
symbol is written large."""
_FREE = frozenset({BAR, RADICAL})
"""Signs as large as what they belong to: of use only where a line tells their scale."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A cut symbol of the bank to be: its token by the label, its line (-1: unknown), its writer."""

    token: str
    line: int
    writer: int
    symbol: CutSymbol


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scaled:
    """Of each piece: units of the file in a capital height, y of the baseline, and whether it is of use."""

    size: Floats
    baseline: Floats
    usable: npt.NDArray[np.bool_]


def fill_bank(inks: Sequence[TrainingInk], loose: Sequence[LooseSymbol] = ()) -> Bank:
    """Make the bank of these inks' symbols, and of `loose` ones from elsewhere."""
    pieces, writers, _ = _pieces(inks)
    numbers = {writer: number for number, writer in enumerate(writers)}
    for each in loose:
        symbol = CutSymbol(token=each.token, strokes=each.strokes, first_stroke=0, place=None)
        pieces.append(_Piece(each.token, -1, numbers.setdefault(each.writer, len(numbers)), symbol))
    written, measures, printed_widths = _measured(pieces)
    tokens = written.tokens
    number_of = {name: number for number, name in enumerate(tokens)}
    token = np.array([number_of[piece.token] for piece in pieces], np.int64)
    line = np.array([piece.line for piece in pieces], np.int64)
    extents = _extents(pieces)
    classes = _Classes(
        top=measures.top[token],
        bottom=measures.bottom[token],
        width=_class_widths(written, measures, printed_widths)[token],
        is_free=np.isin(token, [number for number, name in enumerate(tokens) if name in _FREE]),
    )
    return _bank(pieces, tokens, list(numbers), token, _scaled(classes, line, extents, measures))


def line_measures(inks: Sequence[TrainingInk]) -> Iterator[tuple[TrainingInk, dict[int, tuple[float, float]]]]:
    """Each ink that has symbols with the size and the baseline, in units of its file, of each of its sound lines.

    Lines are numbered as in `formula.leaves`.
    """
    pieces, _, spans = _pieces(inks)
    _, measures, _ = _measured(pieces)
    for ink, span in spans:
        found = [(line, line - span.start) for line in span if line < len(measures.sound) and measures.sound[line]]
        yield ink, {own: (float(measures.size[line]), float(measures.baseline[line])) for line, own in found}


def _measured(pieces: Sequence[_Piece]) -> tuple[Written, Measures, Floats]:
    """The pieces whose line is known, all classes and lines as measured by them, and the classes' printed widths."""
    tokens = sorted({piece.token for piece in pieces})
    number_of = {token: number for number, token in enumerate(tokens)}
    known = [piece for piece in pieces if piece.line >= 0]
    extents = _extents(known)
    written = Written(
        tokens=tokens,
        token=np.array([number_of[piece.token] for piece in known], np.int64),
        line=np.array([piece.line for piece in known], np.int64),
        low=extents[:, 0],
        high=extents[:, 1],
    )
    printed = printed_proportions(tokens)
    top, bottom = np.array([each.top for each in printed]), np.array([each.bottom for each in printed])
    return written, measure(written, top=top, bottom=bottom), np.array([each.width for each in printed])


def _extents(pieces: Sequence[_Piece]) -> Floats:
    """float64 [num_pieces, 2, 2]: lowest and highest x and y of each piece."""
    return np.array([_extent(piece.symbol.strokes) for piece in pieces], np.float64).reshape(-1, 2, 2)


def _pieces(inks: Sequence[TrainingInk]) -> tuple[list[_Piece], list[Writer], list[tuple[TrainingInk, range]]]:
    """All pieces, their writers, and of each ink with symbols the numbers of its lines."""
    spans: list[tuple[TrainingInk, range]] = []
    pieces: list[_Piece] = []
    numbers: dict[Writer, int] = {}
    unknown: Counter[str] = Counter()
    num_lines = 0
    for ink in inks:
        if not ink.symbols:
            continue
        name = ink.writer
        if name is None:
            name = f"run {unknown[ink.folder] // RUN_INKS}"
            unknown[ink.folder] += 1
        writer = numbers.setdefault(Writer(name=name, folder=ink.folder), len(numbers))
        aligned, used = _aligned(ink)
        pieces += [_Piece(leaf.token, num_lines + leaf.line, writer, ink.symbols[at]) for leaf, at in aligned]
        first, num_lines = num_lines, num_lines + 1 + max((leaf.line for leaf, _ in aligned), default=-1)
        spans.append((ink, range(first, num_lines)))
        has_bars = BAR[1:] in ink.label
        for at, symbol in enumerate(ink.symbols):
            # a group that is called minus may be the bar of a fraction
            if at not in used and symbol.token not in _FREE and not (symbol.token == "-" and has_bars):
                pieces.append(_Piece(symbol.token, -1, writer, symbol))
    return pieces, list(numbers), spans


def _aligned(ink: TrainingInk) -> tuple[list[tuple[Leaf, int]], set[int]]:
    try:
        found = leaves(tree_of(ink.label))
    except UnsupportedFormulaError:
        return [], set()
    pairs = [(leaf, at) for leaf, at in zip(found, align(found, ink.symbols), strict=True) if at is not None]
    return pairs, {at for _, at in pairs}


def _extent(strokes: Sequence[Stroke]) -> npt.NDArray[np.float32]:
    points = np.concatenate(strokes)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _class_widths(written: Written, measures: Measures, printed: Floats) -> Floats:
    """Median width of each class on sound lines; the printed width of classes not found there."""
    widths = printed.copy()
    sound = measures.sound[written.line] if len(written.line) else np.empty(0, np.bool_)
    relative = (written.high[:, 0] - written.low[:, 0]) / measures.size[written.line]
    for number in range(len(widths)):
        own = sound & (written.token == number)
        if own.any():
            widths[number] = np.median(relative[own])
    return widths


@dataclass(frozen=True, slots=True, kw_only=True)
class _Classes:
    """Of each piece what its class says. is_free: whether it has no size of its own."""

    top: Floats
    bottom: Floats
    width: Floats
    is_free: npt.NDArray[np.bool_]


def _scaled(classes: _Classes, line: Ints, extents: Floats, measures: Measures) -> _Scaled:
    """Scale every piece by its line, where that is sound and the piece likely; otherwise by its class."""
    width, height = (extents[:, 1] - extents[:, 0]).T
    middle = extents[:, :, 1].mean(axis=1)
    class_height, class_middle = classes.bottom - classes.top, (classes.bottom + classes.top) / 2
    # a flat symbol has its width to go by, a single point nothing
    by_width = (class_height < _FLAT) & (width > height)
    size = np.where(by_width, width / classes.width, height / np.maximum(class_height, 0.05))
    size = np.maximum(size, np.maximum(height, width) / (1.6 * np.maximum(class_height, classes.width)))
    size[np.maximum(height, width) <= 0] = 1.0
    if not len(measures.sound):
        return _Scaled(size=size, baseline=middle - class_middle * size, usable=~classes.is_free)
    line_size, line_baseline = measures.size[line], measures.baseline[line]
    relative = height / line_size / np.maximum(class_height, 1e-9)
    low, high = _LIKELY_HEIGHTS
    is_likely = (class_height < _FLAT) | ((relative > low) & (relative < high))
    is_likely &= np.abs((middle - line_baseline) / line_size - class_middle) < _LIKELY_SHIFT
    is_likely &= width / line_size < _LIKELY_WIDTH * np.maximum(classes.width, 0.3)
    trusted = (line >= 0) & measures.sound[line] & (is_likely | classes.is_free)
    return _Scaled(
        size=np.where(trusted, line_size, size),
        baseline=np.where(trusted, line_baseline, middle - class_middle * size),
        usable=trusted | ~classes.is_free,
    )


def _bank(
    pieces: Sequence[_Piece], tokens: Sequence[str], writers: Sequence[Writer], token: Ints, scaled: _Scaled
) -> Bank:
    taken = np.flatnonzero(scaled.usable).tolist()
    symbols = [pieces[number].symbol for number in taken]
    strokes = [stroke for symbol in symbols for stroke in symbol.strokes]
    num_points = np.array([sum(map(len, symbol.strokes)) for symbol in symbols], np.int64)
    lefts = np.array([_extent(symbol.strokes)[0, 0] for symbol in symbols])
    stroke_lengths = np.array([len(stroke) for stroke in strokes], np.int64)
    points = np.concatenate([np.empty((0, 2)), *strokes])
    points = _smoothed(points, stroke_lengths, coarse=np.repeat(scaled.size[taken] < _COARSE, num_points))
    points -= np.repeat(np.column_stack([lefts, scaled.baseline[taken]]), num_points, axis=0)
    points /= np.repeat(scaled.size[taken], num_points)[:, None]
    points, stroke_lengths = thinned(points, stroke_lengths)
    return Bank(
        tokens=tokens,
        writers=writers,
        token=token[taken],
        writer=np.array([pieces[number].writer for number in taken], np.int64),
        points=points,
        stroke_lengths=stroke_lengths,
        num_strokes=np.array([len(symbol.strokes) for symbol in symbols], np.int64),
    )


def _smoothed(points: Floats, stroke_lengths: Ints, *, coarse: npt.NDArray[np.bool_]) -> Floats:
    """The points, those `coarse` and whole averaged with their neighbours on the stroke, 1:2:1, twice; ends stay."""
    ends = np.cumsum(stroke_lengths)
    inner = coarse & (points == np.rint(points)).all(axis=1)
    inner[ends - 1] = inner[ends - stroke_lengths] = False
    at = np.flatnonzero(inner)
    for _ in range(2):
        points[at] = (points[at - 1] + 2 * points[at] + points[at + 1]) / 4
    return points
