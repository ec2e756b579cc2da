"""From cut symbols to a bank of glyphs: each on the baseline and at the size that its line, or its class, tells."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.composing.aligning import align
from pipeline.composing.bank import Bank, Floats, Writer, thinned
from pipeline.composing.cutting import CutSymbol
from pipeline.composing.formula import BAR, RADICAL, Leaf, UnsupportedFormulaError, leaves, tree_of
from pipeline.composing.gathering import TrainingInk
from pipeline.composing.measuring import Measures, Written, measure
from pipeline.composing.proportions import printed_proportions

RUN_INKS = 40
"""Inks of unknown writers are taken for one writer's in runs of so many neighbours: sessions lie side by side."""
_FLAT = 0.3
"""Classes less high than this (minus, dots) tell nothing by their height."""
_LIKELY_HEIGHTS = (0.55, 1.8)
"""Of a symbol on its line, relative to its class; others were cut or aligned wrongly."""
_LIKELY_SHIFT = 0.6
"""How far its middle may be from the class's."""
_FREE = frozenset({BAR, RADICAL})
"""Signs as large as what they belong to: of use only where a line tells their scale."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A cut symbol of the bank to be: its token by the label, its line (-1: unknown), its writer."""

    token: str
    line: int
    writer: int
    symbol: CutSymbol


def fill_bank(inks: Sequence[TrainingInk], extra: "Sequence[tuple[Writer, str, Sequence[Floats]]]" = ()) -> Bank:
    """Make the bank of these inks' symbols. extra: single symbols from elsewhere, as writer, token and strokes."""
    pieces, writers = _pieces(inks)
    numbers = {writer: number for number, writer in enumerate(writers)}
    for writer, token, strokes in extra:
        number = numbers.setdefault(writer, len(numbers))
        symbol = CutSymbol(token=token, strokes=strokes, first_stroke=0, place=None)
        pieces.append(_Piece(token, -1, number, symbol))
    tokens = sorted({piece.token for piece in pieces})
    number_of = {token: number for number, token in enumerate(tokens)}
    extents = np.array([_extent(piece.symbol.strokes) for piece in pieces]).reshape(-1, 2, 2)
    written, on_line = _written(pieces, tokens, number_of, extents)
    printed = printed_proportions(tokens)
    measures = measure(
        written, top=np.array([each.top for each in printed]), bottom=np.array([each.bottom for each in printed])
    )
    widths = _class_widths(written, measures, np.array([each.width for each in printed]))
    token = np.array([number_of[piece.token] for piece in pieces], np.int64)
    scale, baseline, usable = _scales(token, on_line, extents, measures, widths, tokens)
    return _bank(pieces, tokens, list(numbers), token, scale, baseline, usable)


def _pieces(inks: Sequence[TrainingInk]) -> tuple[list[_Piece], list[Writer]]:
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
        num_lines += 1 + max((leaf.line for leaf, _ in aligned), default=-1)
        has_bars = BAR[1:] in ink.label
        for at, symbol in enumerate(ink.symbols):
            # a group that is called minus may be the bar of a fraction
            if at not in used and symbol.token not in _FREE and not (symbol.token == "-" and has_bars):
                pieces.append(_Piece(symbol.token, -1, writer, symbol))
    return pieces, list(numbers)


def _aligned(ink: TrainingInk) -> tuple[list[tuple[Leaf, int]], set[int]]:
    try:
        found = leaves(tree_of(ink.label))
    except UnsupportedFormulaError:
        return [], set()
    pairs = [(leaf, at) for leaf, at in zip(found, align(found, ink.symbols), strict=True) if at is not None]
    return pairs, {at for _, at in pairs}


def _extent(strokes: Sequence[Floats]) -> Floats:
    points = np.concatenate(strokes)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _written(
    pieces: Sequence[_Piece], tokens: Sequence[str], number_of: dict[str, int], extents: Floats
) -> tuple[Written, np.ndarray]:
    """The pieces whose line is known, and the line of every piece."""
    line = np.array([piece.line for piece in pieces], np.int64)
    known = line >= 0
    token = np.array([number_of[piece.token] for piece in pieces], np.int64)
    low, high = extents[known, 0].astype(np.float64), extents[known, 1].astype(np.float64)
    return Written(tokens=tokens, token=token[known], line=line[known], low=low, high=high), line


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


def _scales(
    token: np.ndarray, line: np.ndarray, extents: Floats, measures: Measures, widths: Floats, tokens: Sequence[str]
) -> tuple[Floats, Floats, np.ndarray]:
    """Of each piece: units of the file in a capital height, y of the baseline, and whether it is of use."""
    extents = extents.astype(np.float64)
    height = extents[:, 1, 1] - extents[:, 0, 1]
    width = extents[:, 1, 0] - extents[:, 0, 0]
    middle = (extents[:, 1, 1] + extents[:, 0, 1]) / 2
    class_top, class_bottom, class_width = measures.top[token], measures.bottom[token], widths[token]
    class_height, class_middle = class_bottom - class_top, (class_bottom + class_top) / 2
    # by its class: a flat symbol by its width, a point by neither
    by_width = (class_height < _FLAT) & (width > height)
    size = np.where(by_width, width / class_width, height / np.maximum(class_height, 0.05))
    size = np.maximum(size, np.maximum(height, width) / (1.6 * np.maximum(class_height, class_width)))
    is_point = np.maximum(height, width) <= 0
    size[is_point] = 1.0
    baseline = middle - class_middle * size
    # by its line, where that is sound and the symbol likely
    known = (line >= 0) & measures.sound[line] if len(measures.sound) else np.zeros(len(line), np.bool_)
    line_size, line_baseline = measures.size[line], measures.baseline[line]
    relative = height / line_size / np.maximum(class_height, 1e-9)
    low, high = _LIKELY_HEIGHTS
    free = np.isin(token, [number for number, name in enumerate(tokens) if name in _FREE])
    likely = (class_height < _FLAT) | ((relative > low) & (relative < high)) | free
    likely &= (np.abs((middle - line_baseline) / line_size - class_middle) < _LIKELY_SHIFT) | free
    likely &= (width / line_size < 3 * np.maximum(class_width, 0.3)) | free
    trusted = known & likely
    return (
        np.where(trusted, line_size, size),
        np.where(trusted, line_baseline, baseline),
        (trusted | ~free) & (size > 0),
    )


def _bank(  # noqa: PLR0913, PLR0917  # the columns of what is being made
    pieces: Sequence[_Piece],
    tokens: Sequence[str],
    writers: Sequence[Writer],
    token: np.ndarray,
    scale: Floats,
    baseline: Floats,
    usable: np.ndarray,
) -> Bank:
    taken = np.flatnonzero(usable).tolist()
    strokes = [stroke for number in taken for stroke in pieces[number].symbol.strokes]
    num_strokes = np.array([len(pieces[number].symbol.strokes) for number in taken], np.int64)
    stroke_lengths = np.array([len(stroke) for stroke in strokes], np.int64)
    points = np.concatenate([np.empty((0, 2)), *strokes]).astype(np.float64)
    num_points = np.array([sum(map(len, pieces[number].symbol.strokes)) for number in taken], np.int64)
    middles = np.array([_extent(pieces[number].symbol.strokes)[:, 0].mean() for number in taken])
    points[:, 0] -= np.repeat(middles, num_points)
    points[:, 1] -= np.repeat(baseline[taken], num_points)
    points /= np.repeat(scale[taken], num_points)[:, None]
    points, stroke_lengths = thinned(points, stroke_lengths)
    return Bank(
        tokens=tokens,
        writers=writers,
        token=token[taken],
        writer=np.array([pieces[number].writer for number in taken], np.int64),
        points=points,
        stroke_lengths=stroke_lengths,
        num_strokes=num_strokes,
    )
