"""What the signs and commands of LaTeX are called in Typst."""

# ruff: noqa: RUF001  # signs that resemble others are Typst's names of them

from latexify.pipeline.latex.pasted import SIGNS as PASTED_SIGNS
from latexify.serve.formats.rare_signs import RARE_SIGNS


def _table(text: str) -> dict[str, str]:
    """Read pairs of a LaTeX command without backslash and its name in Typst."""
    words = text.split()
    return {"\\" + name: typst for name, typst in zip(words[::2], words[1::2], strict=True)}


SIGNS = (
    PASTED_SIGNS
    | RARE_SIGNS
    | _table(r"""
        bot ⊥ surd \√ backslash \\ bigtriangleup △ centerdot ⋅ smallsetminus ∖ shortmid ∣ lvertneqq ≨ prime ′
        varnothing ∅ % % # \# $ \$ & \& _ \_ { { } } bmod mod
    """)
    | {"\\|": "‖", "\\nleqq": "≦\u0338"}
)
"""Signs that stand for themselves in Typst, and escaped ones."""

FUNCTIONS = _table("""
    frac frac binom binom overline overline underline underline cancel cancel overbrace overbrace underbrace underbrace
    overbracket overbracket underbracket underbracket overparen overparen underparen underparen
    hat hat widehat hat check caron tilde tilde widetilde tilde acute acute grave grave dot dot ddot dot.double
    dddot dot.triple breve breve bar macron vec arrow overrightarrow arrow mathring circle overleftarrow arrow.l
    overleftrightarrow arrow.l.r mathbf bold boldsymbol bold mathbb bb mathcal cal mathscr cal mathfrak frak mathsf sans
    mathtt mono mathit italic mathrm upright
""")
"""Commands that are functions of Typst with the same arguments."""

TEXT_FUNCTIONS = _table("textit italic textbf bold texttt mono textsf sans")
"""Functions around the string of a text."""

ARROWS = _table("xrightarrow ⟶ xleftarrow ⟵ xleftrightarrow ⟷ xRightarrow ⟹ xLeftarrow ⟸")
"""Arrows with something above, and below in brackets."""

MATRIX_DELIMITERS = {
    ("(", ")"): '"("',
    ("[", "]"): '"["',
    ("\\{", "\\}"): '"{"',
    ("|", "|"): '"|"',
    ("\\|", "\\|"): '"||"',
}
"""Delimiters of a matrix, as an argument of Typst's `mat`."""
