"""How high, deep and wide a printed symbol is, from a table in TeX's font metrics.

`scripts/printed_proportions.py` makes the table.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

from latexify.pipeline.synthesis.formulas.symbols import FRACTION_BAR, RADICAL

_TABLE = Path(__file__).with_name("proportions.json")


class Proportions(NamedTuple):
    """Extents in capital heights: top and bottom from the baseline, y downward; width of the whole box."""

    top: float
    bottom: float
    width: float


_UNKNOWN = Proportions(-1.0, 0.0, 0.7)
_DRAWN = {FRACTION_BAR: Proportions(-0.40, -0.36, 1.5), RADICAL: Proportions(-1.15, 0.1, 1.2)}
"""Signs without a size of their own."""


@cache
def printed(token: str) -> Proportions:
    """The proportions of a token; those of a capital for commands that are not in the table."""
    if token in _DRAWN:
        return _DRAWN[token]
    table = _table()
    extents = table.get(token, table[""] if len(token) == 1 and not token.isascii() else None)
    capital = -table["H"][0]
    return _UNKNOWN if extents is None else Proportions(*(value / capital for value in extents))


@cache
def _table() -> dict[str, list[int]]:
    table: dict[str, list[int]] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return table
