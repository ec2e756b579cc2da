"""Which cut symbol is which symbol of the label: what tells lines, sizes and baselines of what people wrote."""

from collections import defaultdict
from collections.abc import Sequence

from latexify.pipeline.synthesis.composed.cutting import CutSymbol
from latexify.pipeline.synthesis.composed.formula import BAR, Leaf

_SAME_SHAPE = {BAR: "-", "\\cdots": "\\dots", "\\cdot": "."}
"""Trace groups call a bar a minus, and dots dots, wherever they are."""


def align(leaves: Sequence[Leaf], symbols: Sequence[CutSymbol]) -> list[int | None]:
    """Of each leaf the position of its symbol, None where that cannot be told.

    The n-th leaf of a shape is the n-th symbol of that shape in the order of the ink's MathML, if there are as many of
    both. Where the MathML does not name them all, only shapes that occur once can be told.
    """
    leaves_of: dict[str, list[int]] = defaultdict(list)
    for number, leaf in enumerate(leaves):
        leaves_of[_shape(leaf.token)].append(number)
    symbols_of: dict[str, list[int]] = defaultdict(list)
    for number, symbol in enumerate(symbols):
        symbols_of[_shape(symbol.token)].append(number)
    found: list[int | None] = [None] * len(leaves)
    for shape, wanted in leaves_of.items():
        there = symbols_of.get(shape, [])
        places = [symbols[number].place for number in there]
        is_ordered = len(there) == 1 or (None not in places and len(set(places)) == len(places))
        if len(there) == len(wanted) and is_ordered:
            by_place = sorted(there, key=lambda number: symbols[number].place or 0)
            for leaf_number, symbol_number in zip(wanted, by_place, strict=True):
                found[leaf_number] = symbol_number
    return found


def _shape(token: str) -> str:
    return _SAME_SHAPE.get(token, token)
