"""One writer's symbols for one ink, and whose are lent to him where he wrote none."""

from collections.abc import Sequence
from random import Random

from latexify.pipeline.synthesis.composed.bank import Bank, Glyph

_CANDIDATES = 6
"""Of so many glyphs the one is taken whose shape fits best, where the shape matters."""


class MissingSymbolError(LookupError):
    """Nobody wrote this token."""


class Hand:
    """Whose glyphs an ink is written with: `writer`'s, and for each token that he lacks those of one other.

    Others whose inks lie in the same folder come first: they wrote on the same device.
    """

    def __init__(self, bank: Bank, writer: int, rng: Random) -> None:
        self._bank, self._writer, self._rng = bank, writer, rng
        self._own: dict[str, Sequence[int]] = {}

    def glyph(self, token: str, *, width: float | None = None, aspect: float | None = None) -> Glyph:
        """A glyph of a token: any, or about so wide, or about so wide for its height.

        Raises MissingSymbolError where nobody wrote it.
        """
        numbers = self._own.get(token)
        if numbers is None:
            numbers = self._own[token] = self._choose(token)
        if width is None and aspect is None:
            return self._bank.glyph(self._rng.choice(numbers))
        candidates = self._rng.sample(numbers, _CANDIDATES) if len(numbers) > _CANDIDATES else numbers
        return self._bank.glyph(min(candidates, key=lambda number: self._misfit(number, width, aspect)))

    def _choose(self, token: str) -> Sequence[int]:
        found = self._bank.glyphs_of.get(token)
        if not found:
            raise MissingSymbolError(token)
        if self._writer in found:
            return found[self._writer]
        folder = self._bank.writers[self._writer].folder
        near = [writer for writer in found if self._bank.writers[writer].folder == folder]
        return found[self._rng.choice(near or list(found))]

    def _misfit(self, number: int, width: float | None, aspect: float | None) -> float:
        (left, top), (right, bottom) = self._bank.extents[number].tolist()
        if width is not None:
            return float(abs(right - left - width))
        assert aspect is not None
        ratio = (right - left + 0.05) / (bottom - top + 0.05)
        return float(max(ratio / aspect, aspect / ratio))
