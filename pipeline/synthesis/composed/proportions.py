"""How high, deep and wide a printed symbol is, by matplotlib's mathtext: the layout of TeX's font metrics."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from latexify.pipeline.synthesis.composed.formula import BAR, RADICAL


class Proportions(NamedTuple):
    """Extents in capital heights: top and bottom from the baseline, y downward; width of the whole box."""

    top: float
    bottom: float
    width: float


_UNKNOWN = Proportions(-1.0, 0.0, 0.7)
_DRAWN = {BAR: Proportions(-0.40, -0.36, 1.5), RADICAL: Proportions(-1.15, 0.1, 1.2)}
"""Signs without a size of their own."""


def printed_proportions(tokens: Sequence[str]) -> list[Proportions]:
    """The proportions of each token; those of a capital where mathtext does not know the command."""
    return [printed(token) for token in tokens]


@cache
def printed(token: str) -> Proportions:
    """The proportions of one token."""
    if token in _DRAWN:
        return _DRAWN[token]
    capital = _extents("H")
    assert capital is not None
    found = _extents(token)
    if found is None or found.bottom - found.top <= 0:
        return _UNKNOWN
    return Proportions(*(value / -capital.top for value in found))


def _extents(token: str) -> Proportions | None:
    """Extents at the parser's own size, None where it has no such command."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415  (takes a second)
    from matplotlib.mathtext import MathTextParser  # noqa: PLC0415

    try:
        parsed = MathTextParser("path").parse(f"${token}$", dpi=72, prop=FontProperties(math_fontfamily="cm", size=100))
    except ValueError:
        return None
    return Proportions(-(parsed.height - parsed.depth), parsed.depth, parsed.width)
