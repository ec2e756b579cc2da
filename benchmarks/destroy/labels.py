r"""LaTeX labels as nobody should write them: unbalanced, nested, foreign, endless."""

from collections.abc import Sequence
from random import Random

from latexify.pipeline.latex import tables, tokenize
from latexify.pipeline.latex.tables import SYMBOLS

_ENVIRONMENTS = ("matrix", "pmatrix", "array", "cases", "aligned", "Bmatrix", "align*", "equation", "nosuch")
WORDS: Sequence[str] = (
    *"abcxyzABN0129+-=()[]|/*<>,.:;!?'\"@`",
    *["{", "}", "^", "_", "&", "\\\\", "$", " ", "~", "%", "#"] * 3,
    *sorted(set(tables.REPLACEMENTS) | set(tables.ARITY) | set(tables.TEXT_COMMANDS) | set(tables.INFIX)),
    *sorted(set(tables.FONT_SWITCHES) | set(tables.SIZED_DELIMITERS) | set(tables.DROPPED_WITH_ARGUMENT)),
    *sorted(SYMBOLS)[::20],
    *(f"\\{end}{{{name}}}" for end in ("begin", "end") for name in _ENVIRONMENTS),
    *(
        "\\begin{",
        "\\end",
        "\\left.",
        "\\right)",
        "\\mathbb{R}",
        "\\nosuch",
        "\\ltN",
        "\\",
        "&lt;",
        "&amp;",
        "&amp;lt;",
    ),
)
"""What a soup of tokens is made of; signs of structure are the likeliest."""

_NESTING = (
    "{",
    "\\frac{",
    "\\sqrt[",
    "\\sqrt{",
    "x^{",
    "\\left(",
    "\\text{$",
    "\\begin{matrix}",
    "\\mathrm{",
    "a_{b^{",
    "\\not",
)
_FOREIGN = (
    "\u05d0\u0628\u6f22\uc218\U0001d4d0\U0001f600e\u0301"
    "\u200d\u200e\u202e\ufeff\u00ad\u2028\ufffd\U0010ffff\x85\xa0\t\r\n"
)


def broken_label(rng: Random, label: str) -> str:
    """`label` with a few of its tokens lost, doubled, moved or replaced."""
    tokens = tokenize(label) or ["x"]
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(tokens) + 1)
        match rng.randrange(5):
            case 0:
                del tokens[place : place + 1]
            case 1:
                tokens.insert(place, rng.choice(WORDS))
            case 2:
                tokens[place:place] = tokens[place : place + rng.randint(1, 8)]
            case 3:
                tokens.insert(place, rng.choice("{}"))
            case _:
                rng.shuffle(tokens)
    return "".join(tokens)


def token_soup(rng: Random) -> str:
    """Random tokens, most of which ask for others that are not there."""
    return "".join(rng.choices(WORDS, k=rng.choice((3, 8, 20, 60, 400))))


def nested_label(rng: Random) -> str:
    """Nesting deeper than any formula's, closed or not; up to a hundred thousand levels."""
    opening = rng.choice(_NESTING)
    depth = rng.choice((10, 24, 25, 48, 49, 50, 51, 52, 200, 500, 100_000))
    closing = rng.choice(("}", "", "]", "\\right)", "\\end{matrix}", "$}"))
    return opening * depth + rng.choice(("x", "", "a\\over b", "&")) + closing * rng.choice((depth, depth - 1, 0))


def foreign_label(rng: Random) -> str:
    """Signs of other scripts, invisible ones, control characters, and those that XML barely allows."""
    signs = [chr(rng.choice((rng.randrange(0x20, 0x300), rng.randrange(0xE000, 0x20000)))) for _ in range(8)]
    signs = [sign for sign in signs if ord(sign) not in (0xFFFE, 0xFFFF)]  # no characters, says XML
    chosen = rng.choices([*_FOREIGN, *signs, "x", "^", "{", "}", "\\"], k=rng.randint(1, 40))
    return "".join(chosen)


def long_label(rng: Random) -> str:
    """A label around the largest length that is allowed by default, or far beyond it."""
    length = rng.choice((3990, 3999, 4000, 4001, 4100, 100_000, 2_000_000))
    return (rng.choice(("x", "{", "\\frac", "x^", "\\text{a b}", "&", "\\left[")) * length)[:length]
