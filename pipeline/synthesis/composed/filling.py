"""Fills a bank with the glyphs of cut symbols, each on the baseline and at the size of its line or of its class."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.synthesis.composed.bank import Bank, Ints, LooseSymbol, Writer, thinned
from latexify.pipeline.synthesis.composed.formula import Leaf, UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.composed.gathering import CutSymbol, TrainingInk
from latexify.pipeline.synthesis.composed.measuring import Measures, Written, measure, printed
from latexify.pipeline.synthesis.formulas.symbols import FRACTION_BAR, RADICAL
from latexify.pipeline.synthesis.typeset.boxes import Floats

RUN_INKS = 40
"""Runs of this many neighbouring inks of unknown writers count as one writer's: sessions lie side by side."""
_FLAT = 0.3
"""The height of lower classes (minus, dots) is no measure of size."""
_LIKELY_HEIGHTS = (0.55, 1.8)
"""Range of a symbol's height on its line, relative to its class; outside, cut or alignment is wrong."""
_LIKELY_SHIFT = 0.6
"""Largest distance between the middles of a symbol and of its class."""
_LIKELY_WIDTH = 2.4
"""Largest width, relative to the class."""
_COARSE = 40.0
"""Units of the file in a capital height. Points on whole units show stairs below this, if the symbol is enlarged."""
_FREE = frozenset({FRACTION_BAR, RADICAL})
"""Signs without a size of their own; usable only if their line has a known scale."""
_SAME_SHAPE = {FRACTION_BAR: "-", "\\cdots": "\\dots", "\\cdot": "."}
"""Labels in trace groups: a bar is called a minus, and dots are called dots, wherever they are."""


class Piece(NamedTuple):
    """A symbol that may become a glyph. token: in the label. line: index of its line; -1 if unknown."""

    token: str
    line: int
    writer: int
    strokes: Sequence[Stroke]


def fill_bank(inks: Sequence[TrainingInk], loose: Sequence[LooseSymbol] = ()) -> Bank:
    """Make the bank of these inks' symbols, and of `loose` ones from elsewhere."""
    pieces, writers, _ = pieces_of(inks)
    index_of = {writer: index for index, writer in enumerate(writers)}
    for each in loose:
        pieces.append(Piece(each.token, -1, index_of.setdefault(each.writer, len(index_of)), each.strokes))
    written, measures, widths = measured(pieces)
    token_index = {name: index for index, name in enumerate(written.tokens)}
    token = np.array([token_index[piece.token] for piece in pieces], np.int64)
    extents = _extents(pieces)
    size, baseline, usable = _scaled(pieces, token, extents, measures, _class_widths(written, measures, widths))
    taken = np.flatnonzero(usable)
    glyphs = [pieces[index].strokes for index in taken]
    strokes = [stroke for glyph in glyphs for stroke in glyph]
    stroke_lengths = np.array([len(stroke) for stroke in strokes], np.int64)
    num_points = np.array([sum(map(len, glyph)) for glyph in glyphs], np.int64)
    points = np.concatenate([np.empty((0, 2)), *strokes])
    points = _smoothed(points, stroke_lengths, coarse=np.repeat(size[taken] < _COARSE, num_points))
    points -= np.repeat(np.column_stack([extents[taken, 0, 0], baseline[taken]]), num_points, axis=0)
    points /= np.repeat(size[taken], num_points)[:, None]
    points, stroke_lengths = thinned(points, stroke_lengths)
    return Bank(
        tokens=written.tokens,
        writers=list(index_of),
        token=token[taken],
        writer=np.array([pieces[index].writer for index in taken], np.int64),
        points=points.astype(np.float32),
        stroke_lengths=stroke_lengths,
        num_strokes=np.array([len(glyph) for glyph in glyphs], np.int64),
    )


def _extents(pieces: Sequence[Piece]) -> Floats:
    """float64 [num_pieces, 2, 2]: lowest and highest x and y of each piece."""
    points = (np.concatenate(piece.strokes) for piece in pieces)
    return np.array([(each.min(axis=0), each.max(axis=0)) for each in points], np.float64).reshape(-1, 2, 2)


def measured(pieces: Sequence[Piece]) -> tuple[Written, Measures, Floats]:
    """The pieces whose line is known, all classes and lines as measured by them, and the classes' printed widths."""
    tokens = sorted({piece.token for piece in pieces})
    token_index = {token: index for index, token in enumerate(tokens)}
    known = [piece for piece in pieces if piece.line >= 0]
    extents = _extents(known)
    written = Written(
        tokens=tokens,
        token=np.array([token_index[piece.token] for piece in known], np.int64),
        line=np.array([piece.line for piece in known], np.int64),
        low=extents[:, 0],
        high=extents[:, 1],
    )
    top, bottom, width = np.array([printed(token) for token in tokens], np.float64).reshape(-1, 3).T
    return written, measure(written, top=top, bottom=bottom), width


def pieces_of(inks: Sequence[TrainingInk]) -> tuple[list[Piece], list[Writer], list[tuple[TrainingInk, range]]]:
    """All pieces, their writers, and each ink with symbols together with the indices of its lines."""
    spans: list[tuple[TrainingInk, range]] = []
    pieces: list[Piece] = []
    writers: dict[Writer, int] = {}
    unknown: Counter[str] = Counter()
    num_lines = 0
    for ink in inks:
        if not ink.symbols:
            continue
        name = ink.writer
        if name is None:
            name = f"run {unknown[ink.folder] // RUN_INKS}"
            unknown[ink.folder] += 1
        writer = writers.setdefault(Writer(name=name, folder=ink.folder), len(writers))
        pairs = _aligned(ink)
        pieces += [Piece(leaf.token, num_lines + leaf.line, writer, ink.symbols[at].strokes) for leaf, at in pairs]
        first, num_lines = num_lines, num_lines + 1 + max((leaf.line for leaf, _ in pairs), default=-1)
        spans.append((ink, range(first, num_lines)))
        used = {index for _, index in pairs}
        # a group that is called minus may be the bar of a fraction
        unclear = _FREE | {"-"} if FRACTION_BAR[1:] in ink.label else _FREE
        others = [symbol for index, symbol in enumerate(ink.symbols) if index not in used]
        pieces += [Piece(symbol.token, -1, writer, symbol.strokes) for symbol in others if symbol.token not in unclear]
    return pieces, list(writers), spans


def _aligned(ink: TrainingInk) -> list[tuple[Leaf, int]]:
    """The leaves of the label whose symbol is known, each with the index of the symbol."""
    try:
        label_leaves = leaves(tree_of(ink.label))
    except UnsupportedFormulaError:
        return []
    indices = align(label_leaves, ink.symbols)
    return [(leaf, index) for leaf, index in zip(label_leaves, indices, strict=True) if index is not None]


def align(label_leaves: Sequence[Leaf], symbols: Sequence[CutSymbol]) -> list[int | None]:
    """For each leaf the index of its symbol, or None if that is ambiguous.

    The n-th leaf of a shape is the n-th symbol of that shape in the order of the ink's MathML, if there are equally
    many. If the MathML does not name them all, only shapes that occur once are matched.
    """
    leaves_of, symbols_of = _by_shape(label_leaves), _by_shape(symbols)
    matches: list[int | None] = [None] * len(label_leaves)
    for shape, leaf_indices in leaves_of.items():
        order = {index: symbols[index].mathml_index for index in symbols_of.get(shape, [])}
        is_ordered = len(order) == 1 or (None not in order.values() and len(set(order.values())) == len(order))
        if len(order) == len(leaf_indices) and is_ordered:
            for leaf, symbol in zip(leaf_indices, sorted(order, key=lambda index: order[index] or 0), strict=True):
                matches[leaf] = symbol
    return matches


def _by_shape(items: Sequence[Leaf | CutSymbol]) -> dict[str, list[int]]:
    indices: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        indices[_SAME_SHAPE.get(item.token, item.token)].append(index)
    return indices


def _class_widths(written: Written, measures: Measures, printed: Floats) -> Floats:
    """Median width of each class on sound lines, or its printed width if it is not found there."""
    widths = printed.copy()
    sound = measures.sound[written.line] if len(written.line) else np.empty(0, np.bool_)
    relative = (written.high[:, 0] - written.low[:, 0]) / measures.size[written.line]
    for token in range(len(widths)):
        own = sound & (written.token == token)
        if own.any():
            widths[token] = np.median(relative[own])
    return widths


def _scaled(
    pieces: Sequence[Piece], token: Ints, extents: Floats, measures: Measures, widths: Floats
) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Scale every piece by its line if that is sound and the piece plausible; otherwise by its class.

    Returns for each piece: units of the file in a capital height, y of the baseline, and whether it is usable.
    """
    top, bottom, class_width = measures.top[token], measures.bottom[token], widths[token]
    line = np.array([piece.line for piece in pieces], np.int64)
    is_free = np.array([piece.token in _FREE for piece in pieces], np.bool_)
    width, height = (extents[:, 1] - extents[:, 0]).T
    middle = extents[:, :, 1].mean(axis=1)
    class_height, class_middle = bottom - top, (bottom + top) / 2
    # a flat symbol is scaled by its width; a single point has no size
    by_width = (class_height < _FLAT) & (width > height)
    size = np.where(by_width, width / class_width, height / np.maximum(class_height, 0.05))
    size = np.maximum(size, np.maximum(height, width) / (1.6 * np.maximum(class_height, class_width)))
    size[np.maximum(height, width) <= 0] = 1.0
    if not len(measures.sound):
        return size, middle - class_middle * size, ~is_free
    line_size, line_baseline = measures.size[line], measures.baseline[line]
    relative = height / line_size / np.maximum(class_height, 1e-9)
    low, high = _LIKELY_HEIGHTS
    is_likely = (class_height < _FLAT) | ((relative > low) & (relative < high))
    is_likely &= np.abs((middle - line_baseline) / line_size - class_middle) < _LIKELY_SHIFT
    is_likely &= width / line_size < _LIKELY_WIDTH * np.maximum(class_width, 0.3)
    trusted = (line >= 0) & measures.sound[line] & (is_likely | is_free)
    baseline = np.where(trusted, line_baseline, middle - class_middle * size)
    return np.where(trusted, line_size, size), baseline, trusted | ~is_free


def _smoothed(points: Floats, stroke_lengths: Ints, *, coarse: npt.NDArray[np.bool_]) -> Floats:
    """Average `coarse` points on whole units with their neighbours on the stroke, 1:2:1, twice; ends stay."""
    ends = np.cumsum(stroke_lengths)
    inner = coarse & (points == np.rint(points)).all(axis=1)
    inner[ends - 1] = inner[ends - stroke_lengths] = False
    index = np.flatnonzero(inner)
    for _ in range(2):
        points[index] = (points[index - 1] + 2 * points[index] + points[index + 1]) / 4
    return points
