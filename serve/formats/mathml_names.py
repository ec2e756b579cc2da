"""What the signs, accents and fonts of LaTeX are in MathML."""

# ruff: noqa: RUF001  # signs that resemble others

import unicodedata
from collections.abc import Sequence

from latexify.pipeline.latex.tables import command_names
from latexify.serve.formats.rare_signs import RARE_SIGNS


def _table(text: str) -> dict[str, str]:
    """Read pairs of a LaTeX command without backslash and its sign."""
    words = text.split()
    return {"\\" + name: sign for name, sign in zip(words[::2], words[1::2], strict=True)}


MORE_SIGNS = _table(r"""
        varnothing ∅ bot ⊥ surd √ backslash \ bigtriangleup △ centerdot ⋅ smallsetminus ∖ shortmid ∣ lvertneqq ≨ prime ′
        % % # # $ $ & & _ _ bmod mod
    """) | {**RARE_SIGNS, "\\|": "‖", "\\nleqq": "≦\u0338", "-": "−", "*": "∗"}
"""Signs that `latexify.pipeline.latex.pasted.SIGNS` does not have, or that MathML writes otherwise."""

DELIMITERS = {"\\{": "{", "\\}": "}"}

IDENTIFIERS = frozenset(".?%#$&_") | command_names(r"""
    infty partial nabla emptyset varnothing hbar ell wp aleph Re Im imath jmath top bot angle triangle Box Diamond
    blacksquare bigstar sharp flat natural spadesuit heartsuit diamondsuit clubsuit backslash AA % # $ & _
""")
"""Signs without space around them."""

ACCENTS = _table("""
    hat ^ widehat ^ check ˇ widecheck ˇ tilde ~ widetilde ~ acute ´ grave ` dot ˙ ddot ¨ breve ˘ bar ¯ vec → mathring ˚
    overline ‾ underline _ overrightarrow → overleftarrow ← overleftrightarrow ↔ underrightarrow → underleftarrow ←
    underleftrightarrow ↔ overbrace ⏞ underbrace ⏟ overbracket ⎴ underbracket ⎵ overparen ⏜ underparen ⏝
""")
"""Signs above or below an argument."""

BELOW = frozenset(name for name in ACCENTS if name.startswith("\\under"))
"""Those of `ACCENTS` that stand below."""

ARROWS = _table("xrightarrow → xleftarrow ← xleftrightarrow ↔ xRightarrow ⇒ xLeftarrow ⇐")
"""Arrows with something above, and below in brackets."""

STRIKES = {
    "\\cancel": "updiagonalstrike",
    "\\bcancel": "downdiagonalstrike",
    "\\xcancel": "updiagonalstrike downdiagonalstrike",
    "\\boxed": "box",
}
"""Lines through or around an argument."""

FONTS = {
    "\\mathbf": ("BOLD",),
    "\\boldsymbol": ("BOLD ITALIC", "BOLD"),
    "\\mathbb": ("DOUBLE-STRUCK",),
    "\\mathcal": ("SCRIPT",),
    "\\mathscr": ("SCRIPT",),
    "\\mathfrak": ("FRAKTUR", "BLACK-LETTER"),
    "\\mathsf": ("SANS-SERIF",),
    "\\mathtt": ("MONOSPACE",),
}
"""Unicode's names of the alphabets, the first that has the letter."""

TEXT_VARIANTS = {"\\textbf": "bold", "\\textit": "italic", "\\textsf": "sans-serif", "\\texttt": "monospace"}


def styled(character: str, styles: Sequence[str]) -> str:
    """Return a letter or digit in one of Unicode's mathematical alphabets; other characters as they are."""
    kind, _, rest = unicodedata.name(character, "").removeprefix("LATIN ").removeprefix("GREEK ").partition(" ")
    if kind == "DIGIT" or (kind in {"SMALL", "CAPITAL"} and rest):
        words = f"{kind} {rest.removeprefix('LETTER ')}"
        for style in styles:
            for name in (f"MATHEMATICAL {style} {words}", f"{style} {words}"):
                try:
                    return unicodedata.lookup(name)
                except KeyError:
                    continue
    return character
