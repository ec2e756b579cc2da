r"""The terminals of the grammar, by the part they play in an expression.

Left out on purpose, because a picture alone cannot tell them apart: ``o`` and ``O`` (beside ``0``), ``\Sigma`` and
``\Pi`` (beside ``\sum`` and ``\prod``), the variant forms of Greek letters, and Greek capitals that look Latin.
"""

from enum import Enum


def _commands(names: str) -> tuple[str, ...]:
    return tuple("\\" + name for name in names.split())


DIGITS = tuple("0123456789")
LATIN_LOWER = tuple("abcdefghijklmnpqrstuvwxyz")
LATIN_UPPER = tuple("ABCDEFGHIJKLMNPQRSTUVWXYZ")
GREEK_LOWER = _commands(
    "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi chi psi omega"
)
GREEK_UPPER = _commands("Gamma Delta Theta Lambda Phi Psi Omega")
LETTERS = LATIN_LOWER + LATIN_UPPER + GREEK_LOWER + GREEK_UPPER
CONSTANTS = ("\\infty", "\\emptyset")
PREFIXES = ("\\partial", "\\nabla")

ADDITIONS = ("+", "-", "\\pm", "\\cup", "\\cap")
MULTIPLICATIONS = ("\\times", "\\cdot", "\\div", "*", "\\circ", "/")
EQUALITIES = ("=", "\\ne", "\\approx", "\\equiv", "\\sim")
ORDERS = ("<", ">", "\\le", "\\ge")
SET_RELATIONS = ("\\in", "\\notin", "\\subset")
ARROWS = ("\\rightarrow", "\\Rightarrow")
RELATIONS = EQUALITIES + ORDERS + SET_RELATIONS + ARROWS
QUANTIFIERS = ("\\forall", "\\exists")

OPENINGS = ("(", "[", "\\{", "\\lfloor", "\\lceil", "\\langle")
CLOSINGS = (")", "]", "\\}", "\\rfloor", "\\rceil", "\\rangle")
BAR = "|"
PUNCTUATION = (",", ".", "!", ":", "\\prime", "\\dots", "\\cdots")

BIG_OPERATORS = ("\\sum", "\\prod")
INTEGRALS = ("\\int", "\\oint")
LIMITS = ("\\lim", "\\max", "\\min")
FUNCTIONS = ("\\sin", "\\cos", "\\tan", "\\log", "\\ln", "\\exp")

FRACTION_BAR, RADICAL = "\\frac", "\\sqrt"
"""Tokens that stand for the pen strokes of a fraction and of a root."""

NAMED = LIMITS + FUNCTIONS
"""Terminals that are written as upright words."""

SIGNS = CONSTANTS + PREFIXES + ADDITIONS + MULTIPLICATIONS + RELATIONS + QUANTIFIERS
DELIMITERS = (*OPENINGS, *CLOSINGS, BAR)
TERMINALS = DIGITS + LETTERS + SIGNS + DELIMITERS + PUNCTUATION + BIG_OPERATORS + INTEGRALS + NAMED
"""Every token that is written with a pen; the rest of a label (braces, ``^``, ``\\frac``, ``&`` …) is structure."""

_ANGULAR = ("\\lfloor", "\\rfloor", "\\lceil", "\\rceil", "\\langle", "\\rangle")
_SIZED = ("/", "\\cdot", "\\circ", "\\cup", "\\cap", "\\subset", "\\nu", *"CEJKMPSUVWXYZ")
_UNCLEAR_ALONE = {*PUNCTUATION, BAR, *_ANGULAR, *_SIZED}
ISOLATED = tuple(token for token in TERMINALS if token not in _UNCLEAR_ALONE)
"""Terminals that a reader knows without neighbours: no dots and bars, nothing that only its size gives away."""

Atom = Enum("Atom", "ORDINARY OPERATOR BINARY RELATION OPENING CLOSING PUNCTUATION INNER")
"""What TeX calls the class of an atom: it decides the space between neighbours (The TeXbook, ch. 18)."""

ATOMS = {
    **dict.fromkeys(ADDITIONS + MULTIPLICATIONS, Atom.BINARY),
    **dict.fromkeys((*RELATIONS, ":"), Atom.RELATION),
    **dict.fromkeys(OPENINGS, Atom.OPENING),
    **dict.fromkeys(CLOSINGS, Atom.CLOSING),
    **dict.fromkeys(BIG_OPERATORS + INTEGRALS + NAMED, Atom.OPERATOR),
    **dict.fromkeys(("\\dots", "\\cdots"), Atom.INNER),
    ",": Atom.PUNCTUATION,
    "/": Atom.ORDINARY,
}
"""Class of each terminal that is not ordinary."""
