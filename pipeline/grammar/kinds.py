r"""The kinds of LaTeX tokens: tokens of one kind may stand in the same places."""

from latexify.pipeline.latex import pasted, tables
from latexify.pipeline.latex.prepare import prepare

END = "end"
"""Kind of the token that ends a label."""
STRUCTURE = frozenset(["{", "}", "[", "]", "_", "^", "&", "\\\\", "*"])
"""Tokens that are their own kind."""
ESCAPED = frozenset(["\\%", "\\#", "\\&", "\\$", "\\_", "\\{", "\\}"])
NO_LETTERS = frozenset("\\{}$&#^_%~")


def kind_of(token: str) -> str:  # noqa: C901, PLR0911 (one branch for each kind)
    r"""Return the kind of a LaTeX token. ``\begin{x}`` is its own kind.

    `odd` and `odd sign` are tokens that the normal form has at most inside a text. ``\degree`` and pasted signs, which
    it has not, are signs: models of an older version of it write them, and their answers are normalised.
    """
    if token in STRUCTURE:
        return token
    if token == "~":
        return "space"
    if token == "'":
        return "letter"  # outside text, a prime is a superscript
    if token in tables.INFIX:
        return "infix"
    if token in tables.FONT_SWITCHES:
        return "odd"
    if token in tables.TEXT_COMMANDS:
        return "text"
    if token in tables.ARITY:
        return f"command {tables.ARITY[token]}{' [' if token in tables.OPTIONAL_ARGUMENT else ''}"
    if token.startswith("\\mathbb{") or token == "\\degree":
        return "symbol"
    if prepare([token]) != [token]:
        if len(token) > 1:
            return "odd"
        return _kind_of_odd_sign(token)
    if token.startswith(("\\begin{", "\\end{")):
        return "odd" if token.endswith("*}") else token
    if len(token) == 1 or token in ESCAPED:
        return {"l": "column", "c": "column", "r": "column", "|": "rule"}.get(token, "sign")
    return "symbol"


def _kind_of_odd_sign(token: str) -> str:
    if pasted.spelling(token) or pasted.script(token):
        return "sign"
    return "letter" if token.isprintable() and token not in NO_LETTERS else "odd sign"
