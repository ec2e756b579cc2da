"""Measure the printed symbols of ``pipeline/synthesis/composed/proportions.json`` with matplotlib's mathtext.

``python scripts/printed_proportions.py`` rewrites the file in ten minutes. It holds top and bottom (from the baseline,
y downward) and width, in hundredths of the font size, of each token that mathtext can print in Computer Modern, and
below ``""`` those of its substitute for any other character.
"""

import json
import logging
import string
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from matplotlib._mathtext import Parser
from matplotlib._mathtext_data import tex2uni
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

TABLE = Path(__file__).parents[1] / "pipeline/synthesis/composed/proportions.json"
LAST_CHARACTER = 0xFFFF
UNPRINTABLE = "\u4e00"
"""A character that the fonts of mathtext do not have."""


def measured(token: str) -> tuple[int, int, int] | None:
    """Top, bottom and width; None if mathtext does not know the token or prints nothing."""
    font = FontProperties(math_fontfamily="cm", size=100)
    try:
        parsed = MathTextParser("path").parse(f"${token}$", dpi=72, prop=font)
    except ValueError:
        return None
    extents = (-(parsed.height - parsed.depth), parsed.depth, parsed.width)
    assert all(value == int(value) for value in extents), f"{token}: {extents} are not whole"
    top, bottom, width = map(int, extents)
    return (top, bottom, width) if bottom > top else None


def tokens() -> Iterator[str]:
    """Yield all characters, and all commands without arguments that mathtext might know."""
    yield from (chr(code) for code in range(33, LAST_CHARACTER + 1) if not 0xD800 <= code < 0xE000)
    commands = chain(tex2uni, Parser._function_names, Parser._overunder_functions, string.punctuation)  # noqa: SLF001 (no list is public)
    yield from (f"\\{name}" for name in sorted({name.removeprefix("\\") for name in commands}))
    yield from (f"\\mathbb{{{letter}}}" for letter in string.ascii_letters)


def main() -> None:
    """Write the table."""
    logging.disable()
    substitute = measured(UNPRINTABLE)
    printed = {token: extents for token in tokens() if (extents := measured(token)) is not None}
    known = {token: e for token, e in printed.items() if token[0] == "\\" or token.isascii() or e != substitute}
    lines = [f"{json.dumps(token)}: {json.dumps(extents)}" for token, extents in {"": substitute, **known}.items()]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
