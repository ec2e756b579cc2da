"""Symbols of the built-in stroke font, for tokens that nobody wrote, in the hands of a few imaginary writers."""

import numpy as np

from latexify.pipeline.synthesis.composed.bank import LooseSymbol, Writer
from latexify.pipeline.synthesis.fonts.hand import Hand
from latexify.pipeline.synthesis.formulas.symbols import NAMED, TERMINALS

NUM_HANDS = 24
FOLDER = "stroke font"


def font_symbols(known: frozenset[str], *, seed: int) -> list[LooseSymbol]:
    """Every terminal of the stroke font that is not `known`, in each imaginary hand."""
    tokens = [token for token in TERMINALS if token not in known and token not in NAMED]
    found: list[LooseSymbol] = []
    for number in range(NUM_HANDS):
        hand, writer = Hand(seed, number), Writer(name=f"hand {number}", folder=FOLDER)
        for token in tokens:
            strokes = [stroke.astype(np.float32) for stroke in hand.glyph(token, 0.5).strokes]
            found.append(LooseSymbol(writer, token, strokes))
    return found
